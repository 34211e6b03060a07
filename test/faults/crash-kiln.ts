/** A Kiln whose server dies again and again: a small service, its server, and what must hold once all has settled. */
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { rolldown } from 'rolldown';
import { Kiln, ROOT, until } from '../e2e/kiln.ts';
import { AcknowledgedWork } from './acknowledged.ts';
import { CHANNEL, writeComponent } from './crash-component.ts';
import { type Before, before, litter, type Place, routerPids, strays, survivors } from './crash-leftovers.ts';
import { type Arming, BAKER_ARMING_FILE, BAKER_POINTS_FILE } from './crash-points.ts';

const LOG_SHOWN = 6_000;

export interface InstanceView {
  readonly id: string;
  readonly phase: string;
  readonly ready: boolean;
}

export interface ServiceView {
  readonly verdict: string;
  readonly serving?: { readonly release: number; readonly version: string; readonly image: string };
  readonly deployment?: DeploymentView;
  readonly groups: readonly {
    readonly name: string;
    readonly process: string;
    readonly release: number;
    readonly desired: number;
    readonly weight: number;
    readonly keepWarmUntilMs?: number;
    readonly instances: readonly InstanceView[];
  }[];
}

export interface DeploymentView {
  readonly id: string;
  readonly to: number;
  readonly state: string;
  readonly failure?: { readonly code: string; readonly message: string };
}

export interface CrashKilnOptions {
  readonly strategy: 'blue-green' | 'rolling';
  readonly keepWarm: string;
  readonly instances: number;
  /** True when absent: a second process without a port. */
  readonly worker?: boolean;
  /** The built-in one when absent. */
  readonly router?: 'built-in' | 'haproxy';
  /** SQLite when absent. */
  readonly databaseUrl?: string;
}

/** Undefined: the server died before it answered. */
export type Answer<Body> = { readonly status: number; readonly body: Body } | undefined;

export class CrashKiln {
  readonly kiln: Kiln;
  readonly component: string;
  readonly host: string;
  readonly pointsFile: string;
  private readonly options: CrashKilnOptions;
  private server: ChildProcess | undefined;
  private serverLog = '';
  private armings = 0;
  private before: Before | undefined;
  readonly acknowledged = new AcknowledgedWork();

  private constructor(kiln: Kiln, options: CrashKilnOptions) {
    this.kiln = kiln;
    this.options = options;
    this.component = `kiosk-${randomBytes(3).toString('hex')}`;
    this.host = `${this.component}.live.localhost`;
    this.pointsFile = path.join(kiln.directory, 'points');
  }

  static async create(options: CrashKilnOptions): Promise<CrashKiln> {
    const crash = new CrashKiln(await Kiln.create(), options);
    await bundleInto(crash.bundle);
    await mkdir(crash.place.temporary);
    return crash;
  }

  private get place(): Place {
    const { component, kiln, options } = this;
    return {
      directory: kiln.directory,
      state: kiln.state,
      temporary: path.join(kiln.directory, 'temporary'),
      component,
      router: options.router ?? 'built-in',
    };
  }

  private get bundle(): string {
    return path.join(this.kiln.directory, 'bundle');
  }

  private get hasWorker(): boolean {
    return this.options.worker !== false;
  }

  get serverPid(): number | undefined {
    return this.server?.pid;
  }

  /** Starts a server, which may be armed before it does anything, and waits until it is ready or has died. */
  async start(): Promise<void> {
    // A baker that died at its point would die there again.
    await rm(this.bakerFile(BAKER_ARMING_FILE), { force: true });
    const server = fork(path.join(this.bundle, 'server.js'), [this.pointsFile], {
      env: {
        ...process.env,
        KILN_STATE: this.kiln.state,
        KILN_LISTEN: '127.0.0.1:0',
        KILN_ROUTER_LISTEN: '127.0.0.1:0',
        KILN_ROUTER: this.place.router,
        DATABASE_URL: this.options.databaseUrl,
        TMPDIR: this.place.temporary,
        KILN_LOG_LEVEL: 'info',
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: [],
    });
    this.server = server;
    const keep = (chunk: Buffer): void => {
      const lines = chunk
        .toString()
        .split('\n')
        .filter((line) => !line.includes('"msg":"request"'));
      this.serverLog = (this.serverLog + lines.join('\n')).slice(-200_000);
    };
    server.stdout?.on('data', keep);
    server.stderr?.on('data', keep);
    await Promise.race([this.reply(server), this.ended(server)]);
    if (server.exitCode !== null) throw new Error(`the server ended by itself:\n${this.serverLog}`);
  }

  async arm(arming: Arming): Promise<void> {
    if (arming.layer !== 'baker') {
      await this.send(arming);
      return;
    }
    this.armings += 1;
    await writeFile(this.bakerFile(BAKER_POINTS_FILE), '');
    // Different each time, so that a baker that lives on sees that it is armed again.
    await writeFile(this.bakerFile(BAKER_ARMING_FILE), JSON.stringify({ ...arming, arming: this.armings }));
  }

  /** How many points were passed since it was armed; undefined when it has died at one. */
  async disarm(): Promise<number | undefined> {
    const passed = await this.send('disarm');
    const byBaker = await readFile(this.bakerFile(BAKER_POINTS_FILE), 'utf8').catch(() => '');
    await rm(this.bakerFile(BAKER_ARMING_FILE), { force: true });
    await rm(this.bakerFile(BAKER_POINTS_FILE), { force: true });
    return passed === undefined ? undefined : passed + byBaker.split('\n').length - 1;
  }

  private bakerFile(name: string): string {
    return path.join(this.kiln.directory, name);
  }

  /** True when the server is dead; it has then been reaped. */
  hasDied(): boolean {
    const { server } = this;
    return server === undefined || server.exitCode !== null || server.signalCode !== null;
  }

  async kill(): Promise<void> {
    const { server } = this;
    if (server === undefined) return;
    server.kill('SIGKILL');
    await this.ended(server);
  }

  /** Folder of the component as it is in this version. */
  async source(text: string): Promise<string> {
    const directory = path.join(this.kiln.directory, 'kiosk');
    const { component, hasWorker: worker } = this;
    await writeComponent(directory, { ...this.options, component, worker }, text);
    return directory;
  }

  /** One call with its answer, or none when the server died meanwhile. */
  async call<Body = Record<string, unknown>>(
    method: string,
    route: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer<Body>> {
    let status: number;
    let answer: Body;
    try {
      const response = await this.kiln.call(method, `/api/v1${route}`, body, headers);
      status = response.status;
      answer = (await response.json()) as Body;
    } catch (error) {
      await until('a call without an answer has a dead server', async () => this.hasDied(), 10_000).catch(
        () => {
          throw error;
        },
      );
      return undefined;
    }
    return { status, body: answer };
  }

  /** Everything that was ever acknowledged is there. */
  lost(): Promise<readonly string[]> {
    return this.acknowledged.lost(this.kiln, this.component, CHANNEL);
  }

  async service(): Promise<ServiceView | undefined> {
    const answer = await this.call<{ items: readonly ServiceView[] }>(
      'GET',
      `/services?component=${this.component}`,
    );
    return answer?.body.items?.[0];
  }

  /** Waits until nothing is under way, and gives what there is then; undefined when the server died before. */
  async settledOrDied(): Promise<ServiceView | undefined> {
    let found: ServiceView | undefined;
    let missing: readonly string[] = [];
    try {
      await until('all has settled', async () => {
        found = await this.service();
        if (this.hasDied()) return true;
        missing = found === undefined ? ['the service is unknown'] : await this.unsettled(found);
        return missing.length === 0;
      });
    } catch (cause) {
      const seen = `${missing.join('; ')}\n${JSON.stringify(found)}\n${this.serverLog.slice(-LOG_SHOWN)}`;
      throw new Error(`it did not settle: ${seen}`, { cause });
    }
    return this.hasDied() ? undefined : found;
  }

  async settled(): Promise<ServiceView> {
    const found = await this.settledOrDied();
    if (found === undefined)
      throw new Error(`the server died by itself:\n${this.serverLog.slice(-LOG_SHOWN)}`);
    return found;
  }

  private async unsettled(service: ServiceView): Promise<readonly string[]> {
    const wrong: string[] = [];
    if (service.verdict !== 'serving') wrong.push(`it is ${service.verdict}`);
    if (service.deployment !== undefined) wrong.push(`deployment to ${service.deployment.to} is under way`);
    const serving = service.groups.filter((group) => group.release === service.serving?.release);
    const weights = service.groups.filter((group) => group.weight > 0);
    if (weights.length !== 1 || weights[0]?.release !== service.serving?.release) {
      wrong.push(`traffic goes to ${weights.map((group) => group.name).join(', ') || 'nobody'}`);
    }
    const sizes = { web: this.options.instances, ...(this.hasWorker ? { worker: 1 } : {}) };
    for (const [process, size] of Object.entries(sizes)) {
      const group = serving.find((one) => one.process === process);
      const running = group?.instances.filter((one) => one.phase === 'running').length ?? 0;
      if (running !== size || group?.instances.length !== size)
        wrong.push(`${process} has ${running} of ${size}`);
    }
    for (const group of service.groups) {
      const isWarm = group.keepWarmUntilMs !== undefined && this.options.keepWarm !== '0s';
      if (!serving.includes(group) && !isWarm) wrong.push(`${group.name} is left`);
    }
    if (wrong.length > 0) return wrong;
    const left = await strays(this.place, this.server?.pid, service);
    // The first time nothing has died yet.
    this.before ??= await before(this.place);
    return [...left, ...(await litter(this.place, service, this.before))];
  }

  /** The part of the router's address that load needs. */
  address(): Promise<string> {
    return this.kiln.routerAddress();
  }

  routerPids(): Promise<readonly number[]> {
    return routerPids(this.place);
  }

  /** Points passed while armed: how often each, and at which of them the server died. */
  async points(): Promise<{ readonly passed: ReadonlySet<string>; readonly died: readonly string[] }> {
    const lines = (await readFile(this.pointsFile, 'utf8').catch(() => '')).split('\n').filter(Boolean);
    return {
      passed: new Set(lines.filter((line) => !line.startsWith('†'))),
      died: lines.filter((line) => line.startsWith('†')).map((line) => line.slice(2)),
    };
  }

  /** Ends all of it, and fails when a process is left. */
  async destroy(): Promise<void> {
    try {
      if (!this.hasDied()) await this.disarm();
      if (this.hasDied()) await this.start();
    } finally {
      await this.kiln.destroy().finally(() => this.kill());
    }
    const left = await survivors(this.place);
    for (const { pid } of left) process.kill(pid, 'SIGKILL');
    if (left.length > 0) throw new Error(`processes are left: ${left.map((one) => one.command).join('; ')}`);
    if (existsSync(this.kiln.directory)) throw new Error(`${this.kiln.directory} is left`);
  }

  private async send(message: Arming | 'disarm'): Promise<number | undefined> {
    const { server } = this;
    if (server === undefined) throw new Error('no server runs');
    const answered = Promise.race([this.reply(server), this.ended(server).then(() => undefined)]);
    if (server.connected) server.send(message);
    return answered;
  }

  private reply(server: ChildProcess): Promise<number> {
    return new Promise((resolve) => {
      server.once('message', (message: { readonly passed: number }) => resolve(message.passed));
    });
  }

  private ended(server: ChildProcess): Promise<void> {
    if (server.exitCode !== null || server.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      server.once('exit', () => resolve());
    });
  }
}

async function bundleInto(directory: string): Promise<void> {
  const bundle = await rolldown({
    cwd: ROOT,
    input: {
      server: 'test/faults/crash-server.ts',
      router: 'src/routing/built-in/main.ts',
      baker: 'test/faults/crash-baker.ts',
      'bake-worker': 'src/bakery/bundle/worker.ts',
      'store-reader': 'src/store/sqlite/reader.ts',
      'item-thread': 'src/pipeline/items/item-thread.ts',
    },
    platform: 'node',
    external: [/^node:/, 'pg-native'],
    logLevel: 'warn',
  });
  await bundle.write({ dir: directory, format: 'esm', entryFileNames: '[name].js' });
  await bundle.close();
  await writeFile(path.join(directory, 'package.json'), '{"type":"module"}');
}
