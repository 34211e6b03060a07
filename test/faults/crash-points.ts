/**
 * Points at which a server can die: every write to the store, every act of a target and a router, and beneath them
 * every change to a file and every start of a process. A point is counted each time it is passed while armed.
 */
import childProcess from 'node:child_process';
import fs from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

/** `before` the act, `during` it (a moment after it has begun) or right `after` it has returned. */
export type Moment = 'before' | 'during' | 'after';
/** `acts`: store, target and router; `files`: changes to files and starts of processes; `baker`: these of the baker. */
export type Layer = 'acts' | 'files' | 'baker';

/** Beside the bundle: how the baker is armed, and the points that it passes. */
export const BAKER_ARMING_FILE = 'baker-arming';
export const BAKER_POINTS_FILE = 'baker-points';

export interface Arming {
  readonly layer: Layer;
  /** The server dies at this point, counted from 1 since it was armed. */
  readonly at: number;
  readonly moment: Moment;
  /** Only points of this name count: what goes on beside may shift the others by one from time to time. */
  readonly name?: string;
}

export class Points {
  private readonly logFile: string;
  private readonly victims: readonly number[];
  private readonly look: (points: Points) => void;
  private readonly append = fs.appendFileSync;
  private arming: Arming | undefined;
  private passed = 0;

  /**
   * Every point that an armed server passes is a line in the file, and the one where it dies a line with `†`.
   * @param look called at each point before it counts; may arm or disarm
   */
  constructor(
    logFile: string,
    victims: readonly number[] = [process.pid],
    look: (points: Points) => void = () => undefined,
  ) {
    this.logFile = logFile;
    this.victims = victims;
    this.look = look;
  }

  arm(arming: Arming): void {
    this.arming = arming;
    this.passed = 0;
  }

  /** How many were passed since it was armed. */
  disarm(): number {
    this.arming = undefined;
    return this.passed;
  }

  async pass<Result>(layer: Layer, name: string, act: () => Promise<Result>): Promise<Result> {
    const moment = this.momentAt(layer, name);
    if (moment === 'before') this.die(name, moment);
    const doing = act();
    if (moment === 'during') setTimeout(() => this.die(name, moment), this.passed % 3);
    const result = await doing;
    if (moment === 'after') this.die(name, moment);
    return result;
  }

  passAtOnce<Result>(layer: Layer, name: string, act: () => Result): Result {
    const moment = this.momentAt(layer, name);
    if (moment === 'before') this.die(name, moment);
    const result = act();
    if (moment !== undefined) this.die(name, moment);
    return result;
  }

  private momentAt(layer: Layer, name: string): Moment | undefined {
    this.look(this);
    const { arming } = this;
    if (arming?.layer !== layer) return undefined;
    this.append(this.logFile, `${name}\n`);
    if (arming.name !== undefined && arming.name !== name) return undefined;
    this.passed += 1;
    return this.passed === arming.at ? arming.moment : undefined;
  }

  private die(name: string, moment: Moment): void {
    this.append(this.logFile, `† ${moment} ${name}\n`);
    for (const pid of this.victims) process.kill(pid, 'SIGKILL');
  }
}

/** Methods that only look; whatever else a part has changes something, and so does what is added later. */
const LOOKS = new Set([
  'after',
  'artifacts',
  'byInputKey',
  'bySecretHash',
  'byVersion',
  'capabilities',
  'close',
  'current',
  'cursor',
  'firstBroken',
  'get',
  'groups',
  'history',
  'holder',
  'list',
  'load',
  'logs',
  'nextStatusAtMs',
  'observe',
  'of',
  'onChange',
  'open',
  'ping',
  'probe',
  'revision',
  'sealedWith',
  'search',
  'secretOf',
  'services',
  'source',
  'sources',
  'status',
  'waitAfter',
  'waivers',
]);

/** What the clock has a server do, or whatever happens elsewhere: at no point of the work that dies. */
const BESIDE = new Set([
  'store.events.prune',
  'store.executionHistory.sweep',
  'store.executions.claim',
  'store.executions.renew',
  'store.leases.acquire',
  'store.servers.beat',
  'store.triggers.note',
  'store.triggers.prune',
  'store.webhooks.claimStatuses',
]);

/** The same part; its acts are points. */
export function counted<Part extends object>(part: Part, name: string, points: Points): Part {
  return new Proxy(part, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      const isPoint = typeof key === 'string' && !LOOKS.has(key) && !BESIDE.has(`${name}.${key}`);
      if (!isPoint) return value.bind(target);
      return (...args: readonly unknown[]) =>
        points.pass('acts', `${name}.${key}`, async () => Reflect.apply(value, target, args));
    },
  });
}

/** A store whose parts are counted. */
export function countedParts<Whole extends object>(whole: Whole, name: string, points: Points): Whole {
  const known = new Map<string | symbol, unknown>();
  return new Proxy(whole, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value === 'function') return value.bind(target);
      if (typeof value !== 'object' || value === null) return value;
      const part = known.get(key) ?? counted(value, `${name}.${String(key)}`, points);
      known.set(key, part);
      return part;
    },
  });
}

const CHANGES = [
  'appendFile',
  'chmod',
  'copyFile',
  'cp',
  'link',
  'mkdir',
  'mkdtemp',
  'open',
  'rename',
  'rm',
  'rmdir',
  'symlink',
  'truncate',
  'unlink',
  'utimes',
  'writeFile',
] as const;

/** From now on changes to files below the directory, and starts of processes, are points of this process. */
export function countFileChanges(directory: string, points: Points, layer: Layer): void {
  replace(promises, CHANGES, '', (name, act, args) =>
    isChange(directory, name, args) ? points.pass(layer, name, async () => act()) : act(),
  );
  const sync = CHANGES.map((name) => `${name}Sync` as const);
  replace(fs, sync, 'Sync', (name, act, args) =>
    isChange(directory, name, args) ? points.passAtOnce(layer, `${name} (sync)`, act) : act(),
  );
  replace(childProcess, ['spawn'], '', (name, act) => points.passAtOnce(layer, name, act));
  syncBuiltinESMExports();
}

function isChange(directory: string, name: string, args: readonly unknown[]): boolean {
  const inside = args.slice(0, 2).some((one) => typeof one === 'string' && one.startsWith(directory));
  if (name !== 'open') return inside;
  const flags = args[1];
  return inside && (typeof flags === 'number' ? (flags & 3) !== 0 : /[wa+]/.test(String(flags ?? 'r')));
}

function replace(
  module: object,
  names: readonly string[],
  ending: string,
  around: (name: string, act: () => unknown, args: readonly unknown[]) => unknown,
): void {
  for (const name of names) {
    const original: unknown = Reflect.get(module, name);
    if (typeof original !== 'function') throw new Error(`there is no ${name} to count`);
    const plain = name.slice(0, name.length - ending.length);
    const replacement = (...args: readonly unknown[]): unknown =>
      around(plain, () => Reflect.apply(original, module, args), args);
    Reflect.set(module, name, replacement);
  }
}
