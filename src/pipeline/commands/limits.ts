/**
 * Limits of memory, processors and processes for one command and all that it starts.
 *
 * MODES, the best that this machine allows:
 *   cgroup-2   a group beside the server's own, in the unified hierarchy (as root, or where it is delegated)
 *   cgroup-1   a group in each of the older hierarchies
 *   watch      no group may be made: memory is measured twice a second and the command ended when it takes too much;
 *              processors and processes are then not limited
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rmdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readIfThere } from '../../files/durable-file.ts';
import { namesIn } from '../../files/names-in.ts';
import { isSystemError } from '../../files/system-error.ts';
import type { CommandLimits } from './command-wish.ts';

const ROOT = '/sys/fs/cgroup';
const PERIOD_US = 100_000;
const REMOVE_ATTEMPTS = 100;
const REMOVE_PAUSE_MS = 50;

export type LimitMode = 'cgroup-2' | 'cgroup-1' | 'watch';

export interface Limited {
  readonly mode: LimitMode;
  /** The command line that puts itself under the limits and then becomes the given one. */
  enter(argv: readonly string[]): readonly string[];
  /** True: something of it was ended because memory was over. */
  outOfMemory(): Promise<boolean>;
  /** After all its processes have ended. */
  remove(): Promise<void>;
}

/** Puts the shell into each group before it becomes the command. */
const ENTER =
  'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 125; shift; done; shift; exec "$@"';

/** Groups of commands of one server: its state directory tells them from those of others. */
export class CommandGroups {
  readonly #prefix: string;
  readonly #root: string;

  constructor(stateDirectory: string, root = ROOT) {
    this.#prefix = `kiln-${createHash('sha256').update(stateDirectory).digest('hex').slice(0, 12)}-`;
    this.#root = root;
  }

  async make(id: string, limits: CommandLimits): Promise<Limited> {
    if (Object.values(limits).every((limit) => limit === undefined)) return watched();
    const name = this.#prefix + id;
    return (await this.#unified(name, limits)) ?? (await this.#older(name, limits)) ?? watched();
  }

  /** Removes what a dead server has left; its processes have ended. */
  async sweep(): Promise<void> {
    const parents = [...(await this.#unifiedParents()), ...(await this.#olderParents()).flat()];
    for (const parent of new Set(parents)) {
      for (const name of await namesIn(parent)) {
        if (name.startsWith(this.#prefix)) await remove(path.join(parent, name));
      }
    }
  }

  async #unified(name: string, limits: CommandLimits): Promise<Limited | undefined> {
    for (const parent of await this.#unifiedParents()) {
      const group = await groupIn(parent, name, 'memory.max');
      if (group === undefined) continue;
      const { memoryMb, cpus, processes } = limits;
      if (memoryMb !== undefined) {
        await writeFile(path.join(group, 'memory.max'), String(memoryMb * 1024 * 1024));
        await writeIfThere(path.join(group, 'memory.swap.max'), '0');
        await writeIfThere(path.join(group, 'memory.oom.group'), '1');
      }
      if (cpus !== undefined)
        await writeIfThere(path.join(group, 'cpu.max'), `${Math.ceil(cpus * PERIOD_US)} ${PERIOD_US}`);
      if (processes !== undefined) await writeIfThere(path.join(group, 'pids.max'), String(processes));
      return grouped('cgroup-2', [group], path.join(group, 'memory.events'));
    }
    return undefined;
  }

  async #older(name: string, limits: CommandLimits): Promise<Limited | undefined> {
    const [memory, cpu, pids] = await Promise.all([
      this.#olderGroup('memory', name, 'memory.limit_in_bytes'),
      this.#olderGroup('cpu', name, 'cpu.cfs_quota_us'),
      this.#olderGroup('pids', name, 'pids.max'),
    ]);
    const { memoryMb, cpus, processes } = limits;
    const groups = [memory, cpu, pids].filter((group) => group !== undefined);
    if (memory === undefined) {
      for (const group of groups) await remove(group);
      return undefined;
    }
    if (memoryMb !== undefined) {
      await writeFile(path.join(memory, 'memory.limit_in_bytes'), String(memoryMb * 1024 * 1024));
      await writeIfThere(path.join(memory, 'memory.memsw.limit_in_bytes'), String(memoryMb * 1024 * 1024));
    }
    if (cpus !== undefined && cpu !== undefined) {
      await writeFile(path.join(cpu, 'cpu.cfs_period_us'), String(PERIOD_US));
      await writeFile(path.join(cpu, 'cpu.cfs_quota_us'), String(Math.ceil(cpus * PERIOD_US)));
    }
    if (processes !== undefined && pids !== undefined)
      await writeFile(path.join(pids, 'pids.max'), String(processes));
    return grouped('cgroup-1', groups, path.join(memory, 'memory.oom_control'));
  }

  async #olderGroup(controller: string, name: string, file: string): Promise<string | undefined> {
    for (const parent of await this.#parentsOf(controller)) {
      const group = await groupIn(parent, name, file);
      if (group !== undefined) return group;
    }
    return undefined;
  }

  #olderParents(): Promise<readonly (readonly string[])[]> {
    return Promise.all(['memory', 'cpu', 'pids'].map((controller) => this.#parentsOf(controller)));
  }

  /** Beside the server, and at the top, where a container does not see its own place. */
  async #parentsOf(controller: string): Promise<readonly string[]> {
    const own = (await ownGroups()).get(controller) ?? '/';
    return [path.join(this.#root, controller, own), path.join(this.#root, controller)];
  }

  /** A group with processes of its own cannot have limited ones below it: so they are beside the server's. */
  async #unifiedParents(): Promise<readonly string[]> {
    if ((await readIfThere(path.join(this.#root, 'cgroup.controllers'))) === undefined) return [];
    const own = (await ownGroups()).get('') ?? '/';
    return [path.join(this.#root, path.dirname(own)), this.#root];
  }
}

/** Path by controller; the unified hierarchy has the name ''. */
async function ownGroups(): Promise<ReadonlyMap<string, string>> {
  const text = (await readIfThere('/proc/self/cgroup')) ?? '';
  return new Map(
    text.split('\n').flatMap((line) => {
      const [, controllers, group] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      return (controllers ?? '').split(',').map((name) => [name, group ?? '/'] as const);
    }),
  );
}

/** Undefined: it may not be made there, or cannot have this limit. */
async function groupIn(parent: string, name: string, file: string): Promise<string | undefined> {
  const group = path.join(parent, name);
  try {
    await mkdir(group);
  } catch (error) {
    if (isSystemError(error, 'EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR', 'ENOSPC')) return undefined;
    throw error;
  }
  try {
    await stat(path.join(group, file));
    return group;
  } catch {
    // The parent does not hand this controller on.
    await remove(group);
    return undefined;
  }
}

async function writeIfThere(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (error) {
    // The kernel was built without it, or it is not handed on: the other limits hold all the same.
    if (!isSystemError(error, 'ENOENT', 'EACCES', 'EPERM', 'EINVAL', 'EBUSY')) throw error;
  }
}

function grouped(mode: LimitMode, groups: readonly string[], events: string): Limited {
  return {
    mode,
    enter: (argv) => ['/bin/sh', '-c', ENTER, 'kiln', ...groups, '--', ...argv],
    async outOfMemory() {
      const count = /^oom_kill (\d+)$/m.exec(await readFile(events, 'utf8'))?.[1];
      return Number(count ?? 0) > 0;
    },
    async remove() {
      for (const group of groups) await remove(group);
    },
  };
}

function watched(): Limited {
  return {
    mode: 'watch',
    enter: (argv) => argv,
    outOfMemory: () => Promise.resolve(false),
    remove: () => Promise.resolve(),
  };
}

/** The kernel lets go of a group a moment after its last process has ended. */
async function remove(group: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await rmdir(group);
      return;
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return;
      if (!isSystemError(error, 'EBUSY') || attempt === REMOVE_ATTEMPTS) throw error;
      await sleep(REMOVE_PAUSE_MS);
    }
  }
}
