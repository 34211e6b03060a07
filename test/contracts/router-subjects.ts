/** The routers that the contract is checked against, and how to find their processes. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HealthSpec } from '../../src/domain/component.ts';
import type { ProcessName, ServerGroupName, ServiceKey } from '../../src/domain/ids.ts';
import type { Router } from '../../src/domain/ports/router.ts';
import type { Pool, RoutedEndpoint, ServiceTable } from '../../src/domain/routing.ts';
import { BuiltInRouter, type BuiltInRouterOptions } from '../../src/routing/built-in/driver.ts';
import { HaproxyRouter } from '../../src/routing/haproxy/driver.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { freePort } from '../free-port.ts';
import type { Upstream } from './router-upstream.ts';

export const ENTRY = path.resolve(import.meta.dirname, '../../src/routing/built-in/main.ts');
export const silentLog = { info: () => undefined, warn: () => undefined };

export interface RouterSubject {
  readonly name: 'built-in' | 'haproxy';
  /** Why it cannot be tested here. */
  readonly missing?: string;
  open(stateDirectory: string, port: number): Router;
}

export const SUBJECTS: readonly RouterSubject[] = [
  builtIn(),
  {
    name: 'haproxy',
    ...(isInstalled('haproxy')
      ? {}
      : { missing: 'HAProxy is not installed: it comes with the Debian package `haproxy`' }),
    open: (stateDirectory, port) =>
      new HaproxyRouter({
        program: 'haproxy',
        stateDirectory,
        listen: { host: '127.0.0.1', port },
        clock: systemClock,
        log: silentLog,
      }),
  },
];

export function builtIn(options: Partial<BuiltInRouterOptions> = {}): RouterSubject {
  return {
    name: 'built-in',
    open: (stateDirectory, port) =>
      new BuiltInRouter({
        nodePath: process.execPath,
        entry: ENTRY,
        stateDirectory,
        listen: { host: '127.0.0.1', port },
        build: '100-test',
        log: silentLog,
        ...options,
      }),
  };
}

export function isInstalled(program: string): boolean {
  try {
    execFileSync(program, ['-v'], { stdio: 'ignore' });
    return true;
  } catch {
    return false; // the suite says which package brings it
  }
}

/** A router in a directory of its own; everything it started is gone after `remove`. */
export class Workplace {
  readonly stateDirectory = mkdtempSync(path.join(tmpdir(), 'kiln-router-'));
  readonly signal = AbortSignal.timeout(600_000);
  readonly subject: RouterSubject;
  readonly port: number;
  router: Router;

  private constructor(subject: RouterSubject, port: number) {
    this.subject = subject;
    this.port = port;
    this.router = subject.open(this.stateDirectory, port);
  }

  static async start(subject: RouterSubject): Promise<Workplace> {
    if (subject.missing !== undefined) throw new Error(subject.missing);
    const place = new Workplace(subject, await freePort());
    try {
      await place.router.start(place.signal);
    } catch (thrown) {
      await place.remove();
      throw thrown;
    }
    return place;
  }

  /** A second driver on the same state, as a restarted server makes it. */
  async reopen(): Promise<void> {
    await this.router.close();
    this.router = this.subject.open(this.stateDirectory, this.port);
    await this.router.start(this.signal);
  }

  /** Every process that was started on this state directory. */
  processes(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => pid !== process.pid && commandOf(pid).includes(this.stateDirectory));
  }

  killRouter(): void {
    for (const pid of this.processes()) killIfAlive(pid);
  }

  async remove(): Promise<void> {
    await this.router.stop(this.signal).catch(() => undefined); // whatever is left is killed next
    await this.router.close();
    this.killRouter();
    rmSync(this.stateDirectory, { recursive: true, force: true });
  }
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // it ended meanwhile
  }
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it ended meanwhile
  }
}

export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  limitMs = 20_000,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await isSo())) {
    if (performance.now() > endMs) throw new Error(`waited too long until ${what}`);
    await sleep(10);
  }
}

export interface GroupOf {
  readonly weight?: number;
  readonly upstreams: readonly Upstream[];
  readonly draining?: readonly Upstream[];
  readonly health?: HealthSpec;
}

/** Makes one service's tables, each of a later generation than the one before. */
export class TableMaker {
  readonly service: ServiceKey;
  readonly host: string;
  #sequence = 0;

  constructor(name: string) {
    this.service = `${name}@test/local` as ServiceKey;
    this.host = `${name}.test.localhost`;
  }

  generation(): ServiceTable['generation'] {
    return { fence: 1, sequence: this.#sequence };
  }

  next(): ServiceTable['generation'] {
    this.#sequence++;
    return this.generation();
  }

  table(groups: Readonly<Record<string, GroupOf>>, pool: Partial<Pool> = {}): ServiceTable {
    const process = 'web' as ProcessName;
    return {
      service: this.service,
      generation: this.next(),
      routes: [{ host: this.host, path: '/', process }],
      pools: [
        {
          process,
          health: { path: '/health', intervalMs: 500, timeoutMs: 1_000, startupMs: 10_000 },
          drainMs: 10_000,
          holdMs: 0,
          groups: Object.entries(groups).map(([name, group]) => ({
            group: `${this.service.split('@')[0]}-${name}` as ServerGroupName,
            weight: group.weight ?? 100,
            ...(group.health === undefined ? {} : { health: group.health }),
            endpoints: group.upstreams.map((each) =>
              endpointOf(each, group.draining?.includes(each) ?? false),
            ),
          })),
          ...pool,
        },
      ],
    };
  }
}

function endpointOf(upstream: Upstream, draining: boolean): RoutedEndpoint {
  return { instance: upstream.instance, endpoint: upstream.endpoint, draining };
}
