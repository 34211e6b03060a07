/** What tests of machine images share: a bakery on a state directory of its own that bakes them with the real tools. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { BakeProgress } from '../../src/bakery/bake-record.ts';
import { Bakery } from '../../src/bakery/bakery.ts';
import { FileBlobStore } from '../../src/bakery/blobs.ts';
import { readGitFacts } from '../../src/bakery/git-facts.ts';
import { MachineBuilder } from '../../src/bakery/machine/machine-builder.ts';
import type { PackerHost } from '../../src/bakery/machine/packer/packer-build.ts';
import { readComponent } from '../../src/component/read.ts';
import type { KilnError } from '../../src/domain/errors.ts';
import type { BakeId } from '../../src/domain/ids.ts';
import type { Image } from '../../src/domain/image.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { openStore } from '../../src/store/open.ts';
import { NEVER, writeTree } from '../e2e/bake-fixture.ts';

const PATH = '/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin';

/** In CI a tool that is not there is a failure of the tests, elsewhere a reason to skip them. */
export function missingTool(programs: Readonly<Record<string, string>>): string | undefined {
  if (process.env.CI === 'true') return undefined;
  const missing = Object.entries(programs).filter(
    ([program]) => !PATH.split(':').some((folder) => existsSync(path.join(folder, program))),
  );
  return missing.length === 0 ? undefined : `needs ${missing.map(([, from]) => from).join(', ')}`;
}

/** The variables with which this machine reaches Debian's packages. */
export const network: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(process.env).flatMap(([name, value]) =>
    /^(https?|no)_proxy$/i.test(name) && value !== undefined ? [[name, value]] : [],
  ),
);

export interface MachineKitchen {
  readonly bakery: Bakery;
  readonly builder: MachineBuilder;
  readonly blobs: FileBlobStore;
  readonly store: Store;
  readonly state: string;
  start(directory: string): Promise<BakeId>;
  baked(directory: string): Promise<Image>;
  failure(directory: string, id?: BakeId): Promise<KilnError>;
  /** Stages and output of the last bake that was waited for, a line each. */
  readonly lines: readonly string[];
  close(): Promise<void>;
}

export async function openMachineKitchen(
  state: string,
  host: Partial<PackerHost> = {},
): Promise<MachineKitchen> {
  await mkdir(state, { recursive: true, mode: 0o700 });
  const blobs = new FileBlobStore(path.join(state, 'blobs'));
  const randomId = (): string => randomUUID();
  const builder = new MachineBuilder({
    blobs,
    stateDirectory: state,
    host: {
      searchPath: PATH,
      network,
      environment: {},
      secrets: {},
      amazonEndpoint: undefined,
      ...host,
    },
    clock: systemClock,
    arch: 'amd64',
    isRoot: process.getuid?.() === 0,
    randomId,
  });
  const store = await openStore(
    { kind: 'sqlite', file: path.join(state, 'kiln.db') },
    { clock: systemClock },
  );
  const bakery = new Bakery({
    store,
    blobs,
    builders: [builder],
    clock: systemClock,
    stateDirectory: state,
    origin: { server: 'here', host: 'machines' },
    readDefinition: async (directory) => (await readComponent(directory)).definition,
    readGitFacts,
    cachedLayers: async () => new Set(),
    randomId,
  });
  const lines: string[] = [];
  const start = async (directory: string): Promise<BakeId> =>
    (await bakery.start({ directory, actor: 'tester' })).id;
  const outcome = async (id: BakeId) => {
    lines.length = 0;
    let last: BakeProgress | undefined;
    for await (const progress of bakery.follow(id, NEVER)) {
      last = progress;
      if (progress.kind === 'stage') lines.push(`${progress.name}: ${progress.detail}`);
      if (progress.kind === 'output') lines.push(progress.line);
    }
    if (last?.kind !== 'end') throw new Error('the progress of a bake has to end');
    return last.outcome;
  };
  return {
    bakery,
    builder,
    blobs,
    store,
    state,
    lines,
    start,
    baked: async (directory) => {
      const ended = await outcome(await start(directory));
      if (ended.kind === 'failed') throw ended.error;
      return ended.image;
    },
    failure: async (directory, id) => {
      const ended = await outcome(id ?? (await start(directory)));
      if (ended.kind !== 'failed') throw new Error(`expected a failure, got ${ended.kind}`);
      return ended.error;
    },
    close: async () => {
      await bakery.close();
      await store.close();
    },
  };
}

let components = 0;

/** A component whose image is a machine. @param machine what stands under `image.machine`, as YAML on one line */
export async function machineComponent(
  folder: string,
  machine: string,
  files: Readonly<Record<string, string>> = {},
  image = '',
): Promise<string> {
  components += 1;
  const directory = path.join(folder, `component-${components}`);
  const yaml = `component: box-${components}\nversion: "1.0.0"\nimage:\n  kind: machine\n${image}  machine: ${machine}\nservice: {run: /sbin/init}\n`;
  await writeTree(directory, { 'kiln.yaml': yaml, ...files });
  return directory;
}

/** Processes of this state directory's builds that run now. */
export function buildProcesses(state: string): string[] {
  const found = execFileSync(
    'sh',
    ['-c', 'grep -l -a -s -F "KILN_BUILD=$1!" /proc/[0-9]*/environ; true', 'sh', state],
    { encoding: 'utf8' },
  );
  return found.split('\n').filter(Boolean);
}
