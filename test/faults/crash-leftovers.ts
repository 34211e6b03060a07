/** What a crash may leave and nobody wants: processes, folders, files. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import path from 'node:path';
import type { ServiceView } from './crash-kiln.ts';

export interface Place {
  /** Holds everything of this Kiln. */
  readonly directory: string;
  readonly state: string;
  /** Where its server makes temporary files outside of its state. */
  readonly temporary: string;
  readonly component: string;
  readonly router: 'built-in' | 'haproxy';
}

/** Processes that nobody wants: neither the server, its router, nor of an instance that is to run. */
export async function strays(
  place: Place,
  serverPid: number | undefined,
  service: ServiceView,
): Promise<readonly string[]> {
  const wanted = new Set(service.groups.flatMap((group) => group.instances.map((one) => one.id)));
  const wrong: string[] = [];
  const found = await processesAt(place);
  const routers = await routersAmong(place, found);
  for (const { pid, command, environment } of found) {
    if (pid === serverPid || routers.includes(pid)) continue;
    // The server's own; one that an earlier server had is a stray.
    if (command.includes(`${place.directory}/bundle/baker.js`) && (await parentOf(pid)) === serverPid)
      continue;
    const instance = /KILN_INSTANCE=([^\0]+)/.exec(environment)?.[1];
    if (instance !== undefined && wanted.has(instance)) continue;
    wrong.push(`process ${pid} of ${instance ?? 'nobody'} is left: ${command.slice(0, 200)}`);
  }
  // HAProxy is a master with its worker.
  const expected = place.router === 'haproxy' ? 2 : 1;
  if (routers.length !== expected) wrong.push(`${routers.length} processes of routers run`);
  return wrong;
}

/** After the last server and its router have been stopped: everything of it, which is to be nothing. */
export async function survivors(place: Place): Promise<readonly Process[]> {
  return processesAt(place);
}

export async function routerPids(place: Place): Promise<readonly number[]> {
  return routersAmong(place, await processesAt(place));
}

async function routersAmong(place: Place, processes: readonly Process[]): Promise<readonly number[]> {
  const found: number[] = [];
  for (const { pid, command } of processes) {
    const isBuiltIn = command.includes(`${place.directory}/bundle/router.js`);
    const isHaproxy = command.startsWith('haproxy ') && (await folderOf(pid)).startsWith(place.state);
    if (isBuiltIn || isHaproxy) found.push(pid);
  }
  return found;
}

interface Process {
  readonly pid: number;
  readonly command: string;
  readonly environment: string;
}

/** Whatever carries the directory or the component's mark; a zombie has no command and is none. */
async function processesAt({ directory, component }: Place): Promise<readonly Process[]> {
  const mark = `KILN_COMPONENT=${component}\0`;
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0 && pid !== process.pid);
  const all = await Promise.all(
    pids.map(async (pid) => {
      const [command, environment] = await Promise.all([textOf(pid, 'cmdline'), textOf(pid, 'environ')]);
      return { pid, command: command.replaceAll('\0', ' ').trim(), environment };
    }),
  );
  return all.filter(
    ({ command, environment }) =>
      command !== '' &&
      [command, environment].some((text) => text.includes(directory) || text.includes(mark)),
  );
}

/** What stood in the folders that a server makes itself before any of them died. */
export type Before = ReadonlyMap<string, ReadonlySet<string>>;

const OWN_FOLDERS = ['.', 'targets', 'targets/local', 'router'];
/** These come and go, or come late. */
const COME_LATE = new Set([
  ...['kiln.db-wal', 'kiln.db-shm', 'lock.db-journal'],
  ...['cache', 'tmp', 'logs', 'runs', 'views', 'volumes'],
]);

export async function before({ state }: Place): Promise<Before> {
  const folders = OWN_FOLDERS.map(async (folder) => {
    const names = new Set(await namesIn(path.join(state, folder)));
    return [folder, names] as const;
  });
  return new Map(await Promise.all(folders));
}

/** Folders and files that nothing stands for any more. */
export async function litter(place: Place, service: ServiceView, before: Before): Promise<readonly string[]> {
  const instances = service.groups.flatMap((group) => group.instances.map((one) => one.id));
  const groups = service.groups.map((group) => group.name);
  const wrong: string[] = [];
  const expectOnly = async (folder: string, wanted: (name: string) => boolean): Promise<void> => {
    const names = await namesIn(path.join(place.state, folder));
    wrong.push(...names.filter((name) => !wanted(name)).map((name) => `${folder}/${name} is left`));
  };
  for (const [folder, names] of before) {
    await expectOnly(folder, (name) => names.has(name) || COME_LATE.has(name));
  }
  await expectOnly('tmp', () => false);
  await expectOnly('blobs/staging', () => false);
  await expectOnly('targets/local/instances', (name) => instances.includes(name));
  await expectOnly('targets/local/groups', (name) => groups.some((group) => name === `${group}.json`));
  await expectOnly('targets/local/views', (name) => groups.includes(name));
  await expectOnly('targets/local/images', (name) => /^[0-9a-f]{64}$/.test(name));
  // Drafts of tables go with a later start: while one router hands over to the next, both may write.
  await expectOnly(`router/${place.router}/tables`, (name) => name.includes(place.component));
  await expectOnly(`router/${place.router}`, (name) => !DRAFT.test(name) && !name.endsWith('.damaged'));
  const outside = await namesIn(place.temporary);
  return [...wrong, ...outside.map((name) => `${name} is left in the machine's folder for temporary files`)];
}

/** What a crash leaves of a file that is being replaced. */
const DRAFT = /\.[0-9a-f]{8}\.new$/;

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** Undefined when it has ended meanwhile. */
async function parentOf(pid: number): Promise<number | undefined> {
  const parent = /^PPid:\s+(\d+)$/m.exec(await textOf(pid, 'status'))?.[1];
  return parent === undefined ? undefined : Number(parent);
}

async function textOf(pid: number, file: string): Promise<string> {
  // It may have ended meanwhile: then it is no stray.
  return readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '');
}

async function folderOf(pid: number): Promise<string> {
  return readlink(`/proc/${pid}/cwd`).catch(() => '');
}
