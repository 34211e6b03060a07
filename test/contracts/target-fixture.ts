/** What tests of targets share: small real programs as images, specs, and a target on a directory of its own. */
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { EngineClient, filters } from '../../src/docker/engine-client.ts';
import type { ProcessSpec } from '../../src/domain/component.ts';
import {
  componentName,
  type Digest,
  digest,
  environmentName,
  processName,
  serviceKey,
} from '../../src/domain/ids.ts';
import type { Target } from '../../src/domain/ports/target.ts';
import { type GroupObservation, type GroupSpec, serverGroupName } from '../../src/domain/server-group.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { createDockerTarget } from '../../src/targets/docker/target.ts';
import { createLocalTarget, type LocalTargetOptions } from '../../src/targets/local/target.ts';

/** Of this test process alone: processes are found by it on a machine where other tests run. */
export const TEST_COMPONENT = `shop-${process.pid}`;

export const NEVER = new AbortController().signal;

export const silent = { info: () => {}, warn: () => {} };

/** The node that runs the tests is the runtime of the programs. */
export const NODE_PATH = `${path.dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`;

/** A web server that says what it sees. */
const WEB_PROGRAM = `
const http = require('node:http');
const fs = require('node:fs');
const { execFileSync } = require('node:child_process');
const attempt = (act) => { try { return act(); } catch (error) { return 'failed: ' + error.code; } };
const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://x');
  const file = url.searchParams.get('file');
  const answers = {
    '/env': () => process.env,
    '/read': () => fs.readFileSync(file, 'utf8'),
    '/write': () => { fs.writeFileSync(file, url.searchParams.get('text')); return 'written'; },
    '/list': () => fs.readdirSync(file),
    '/cwd': () => process.cwd(),
    '/processes': () => fs.readdirSync('/proc').filter((name) => /^\\d+$/.test(name)).map((pid) => attempt(() => fs.readFileSync('/proc/' + pid + '/environ', 'utf8'))),
    '/pid': () => process.pid,
  };
  const answer = answers[url.pathname] ?? (() => 'hello');
  response.end(JSON.stringify(attempt(answer)));
});
server.listen(process.env.PORT, process.env.HOST, () => console.log('listening on', process.env.PORT));
process.on('SIGTERM', () => { console.log('got SIGTERM'); server.close(); server.closeAllConnections(); });
`;

export interface FixtureOptions extends Partial<LocalTargetOptions> {
  /** Containers instead of processes. */
  readonly docker?: { readonly socket: string; readonly runtime: string };
}

export class TargetFixture {
  readonly directory: string;
  readonly #open: Target[] = [];
  readonly #options: FixtureOptions;
  #images = 0;

  private constructor(directory: string, options: FixtureOptions) {
    this.directory = directory;
    this.#options = options;
  }

  static async create(options: FixtureOptions = {}): Promise<TargetFixture> {
    const directory = await mkdtemp(path.join(tmpdir(), 'kiln-target-'));
    await mkdir(path.join(directory, 'state'), { mode: 0o700 });
    await writeFile(path.join(directory, 'state', 'token'), 'the-secret-token');
    return new TargetFixture(directory, options);
  }

  /** The same place, seen from another process. */
  static at(directory: string, options: FixtureOptions = {}): TargetFixture {
    return new TargetFixture(directory, options);
  }

  get state(): string {
    return path.join(this.directory, 'state');
  }

  async target(options: FixtureOptions = {}): Promise<Target> {
    const target = await this.#create({
      unpack: (artifact, to) => cp(this.#image(artifact), to, { recursive: true }),
      ...options,
    });
    this.#open.push(target);
    return target;
  }

  /** As `groupSpec`, in the runtime that this target needs for it. */
  spec(artifact: Digest, options: SpecOptions = {}): GroupSpec {
    const { docker } = this.#options;
    const spec = groupSpec(artifact, options);
    return docker === undefined ? spec : { ...spec, runtime: docker.runtime };
  }

  /** An image with these files, beside the web program. */
  async image(files: Readonly<Record<string, string>> = {}): Promise<Digest> {
    this.#images += 1;
    const name = createHash('sha256').update(`${this.directory} ${this.#images}`).digest('hex');
    const artifact = digest(`sha256:${name}`);
    for (const [file, text] of Object.entries({ 'web.js': WEB_PROGRAM, ...files })) {
      const to = path.join(this.#image(artifact), file);
      await mkdir(path.dirname(to), { recursive: true });
      await writeFile(to, text);
    }
    return artifact;
  }

  /** Removes all groups and the directory, and fails when anything of them is left. */
  async destroy(): Promise<void> {
    let left: readonly string[] = [];
    try {
      for (const target of this.#open) await target.close();
      await this.#removeGroups();
      const { docker } = this.#options;
      left = [
        ...(await processesUnder(this.state)),
        ...(docker === undefined ? [] : await this.#leftInEngine(docker.socket)),
      ];
    } finally {
      await rm(this.directory, { recursive: true, force: true });
    }
    if (left.length > 0) throw new Error(`instances are left: ${left.join('; ')}`);
  }

  async #removeGroups(): Promise<void> {
    const target = await this.#create({
      unpack: () => Promise.reject(new Error('nothing is unpacked any more')),
    });
    try {
      for (const service of await target.services(NEVER)) {
        for (const group of await target.groups(service, NEVER)) {
          await target.remove(group, Number.MAX_SAFE_INTEGER, NEVER);
        }
      }
    } finally {
      await target.close();
    }
  }

  #create(own: Pick<LocalTargetOptions, 'unpack'> & FixtureOptions): Promise<Target> {
    const { docker, ...options } = { ...this.#options, ...own };
    const parts = {
      stateDirectory: this.state,
      hiddenPaths: [],
      path: NODE_PATH,
      clock: systemClock,
      log: silent,
      ...options,
    };
    if (docker === undefined) return createLocalTarget(parts);
    return createDockerTarget({
      ...parts,
      dockerSocket: docker.socket,
      kindOf: async () => 'bundle',
      containerArchive: () => Promise.reject(new Error('there are bundles only')),
    });
  }

  /** What is left in the engine; volumes, which outlive groups, are removed. */
  async #leftInEngine(socket: string): Promise<readonly string[]> {
    const engine = new EngineClient(socket);
    try {
      const owner = await readFile(path.join(this.state, 'targets/docker/owner'), 'utf8').catch(() => 'none');
      const query = { all: '1', ...filters({ label: [`kiln.owner=${owner.trim()}`] }) };
      const request = { method: 'GET', query, signal: NEVER } as const;
      const containers = z.array(z.object({ Id: z.string(), Names: z.array(z.string()) }));
      const left = await engine.json(containers, { ...request, path: '/containers/json' });
      const volumes = z.object({ Volumes: z.array(z.object({ Name: z.string() })).nullish() });
      for (const { Name } of (await engine.json(volumes, { ...request, path: '/volumes' })).Volumes ?? []) {
        await engine.send({ method: 'DELETE', path: `/volumes/${Name}`, signal: NEVER });
      }
      return left.flatMap((one) => one.Names);
    } finally {
      engine.close();
    }
  }

  #image(artifact: Digest): string {
    return path.join(this.directory, 'images', artifact.slice('sha256:'.length));
  }
}

export interface SpecOptions {
  readonly run?: string;
  readonly release?: number;
  readonly desired?: number;
  readonly component?: string;
  readonly process?: Partial<ProcessSpec>;
  readonly spec?: Partial<GroupSpec>;
}

export function groupSpec(artifact: Digest, options: SpecOptions = {}): GroupSpec {
  const component = componentName(options.component ?? TEST_COMPONENT);
  const environment = environmentName('stage/local');
  const name = processName('web');
  const release = options.release ?? 1;
  const desired = options.desired ?? 1;
  return {
    group: serverGroupName(component, name, environment, release),
    service: serviceKey(component, environment),
    release,
    version: `1.0.${release}`,
    artifact,
    process: {
      name,
      run: options.run ?? 'node web.js',
      listens: true,
      standard: false,
      instances: { min: 1, desired, max: 9 },
      stop: { signals: ['SIGTERM', 'SIGINT', 'SIGKILL'], graceMs: 4_000 },
      volumes: [],
      ...options.process,
    },
    environment: {},
    files: [],
    desired,
    retire: [],
    ...options.spec,
  };
}

/** Polls until it gives something; fails after a generous time, saying what it last saw. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  limitMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`);
    await sleep(15);
  }
}

export async function observed(target: Target, spec: GroupSpec): Promise<GroupObservation> {
  const observation = await target.observe(spec.group, NEVER);
  if (observation === undefined) throw new Error(`${spec.group} is not there`);
  return observation;
}

export interface ServingInstance {
  readonly id: GroupObservation['instances'][number]['id'];
  readonly url: string;
}

/** Waits for this many instances with endpoints. */
export function serving(target: Target, spec: GroupSpec, count = 1): Promise<readonly ServingInstance[]> {
  return eventually(`${count} serving in ${spec.group}`, async () => {
    const { instances } = await observed(target, spec);
    const found = instances.flatMap(({ id, phase }) =>
      phase.kind === 'running' && phase.endpoint !== undefined
        ? [{ id, url: `http://${phase.endpoint.host}:${phase.endpoint.port}` }]
        : [],
    );
    return found.length === count && found;
  });
}

export async function ask(
  instance: ServingInstance,
  route: string,
  query: Record<string, string> = {},
): Promise<unknown> {
  const response = await fetch(`${instance.url}${route}?${new URLSearchParams(query)}`);
  return response.json();
}

/** Command lines of living processes that carry the mark of an instance of this state directory. */
export async function processesUnder(state: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ');
      const environment = await readFile(`/proc/${pid}/environ`, 'utf8');
      if (command.includes(state) || environment.includes(`${state}/`)) found.push(`${pid} ${command}`);
    } catch {
      // It ended while it was looked at, or is another user's.
    }
  }
  return found.filter((line) => !line.includes('vitest'));
}

export async function markedProcesses(mark: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      if ((await readFile(`/proc/${pid}/environ`, 'utf8')).includes(mark)) found.push(Number(pid));
    } catch {
      // It ended while it was looked at, or is another user's.
    }
  }
  return found;
}
