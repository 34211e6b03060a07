import type { StopPolicy } from '../../domain/component.ts';
import { KilnError } from '../../domain/errors.ts';
import type { InstanceId } from '../../domain/ids.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { InstanceProcesses, Isolation } from './description.ts';
import {
  descendants,
  isAlive,
  type ProcessEntry,
  processTable,
  signalProcess,
  startEnvironment,
} from './processes.ts';

/** What is known of an instance's processes; less while it is only starting. */
export interface ProcessTree {
  readonly id: InstanceId;
  readonly isolation: Isolation;
  readonly known: Partial<InstanceProcesses>;
}

/** SIGKILL cannot be refused; what survives it for so long hangs in the kernel. */
const KILL_MS = 10_000;
const POLL_MS = 10;

/**
 * The author's processes of an instance, however they came about. In a sandbox all descend from its init.
 * Without one a process can leave its parents, but keeps the mark that it was started with in its environment.
 */
export function membersOf(tree: ProcessTree): readonly ProcessEntry[] {
  const { runner, init, main } = tree.known;
  // The kernel ends a namespace with its init, whole, before that is seen to be dead: no need to read all of /proc.
  if (tree.isolation === 'sandbox' && init !== undefined && !isAlive(init)) return [];
  const table = processTable();
  const roots = [runner, init, main].flatMap((root) => (root && isAlive(root) ? [root.pid] : []));
  const members = new Map(descendants(table, roots).map((entry) => [entry.pid, entry]));
  if (main !== undefined && isAlive(main)) {
    const entry = table.get(main.pid);
    if (entry !== undefined) members.set(entry.pid, entry);
  }
  if (tree.isolation === 'none' || init === undefined) {
    for (const entry of table.values()) if (isMarked(entry.pid, tree.id)) members.set(entry.pid, entry);
  }
  for (const own of [runner, init]) if (own !== undefined) members.delete(own.pid);
  return [...members.values()];
}

export function isMarked(pid: number, id: InstanceId): boolean {
  return startEnvironment(pid)?.get('KILN_INSTANCE') === id;
}

/** Asks by each signal in turn for its share of the grace, then kills. Resolves when nothing is left. */
export async function endTree(
  tree: () => ProcessTree,
  policy: StopPolicy,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const gentle = policy.signals.filter((name) => name !== 'SIGKILL');
  for (const name of gentle) {
    for (const member of membersOf(tree())) signalProcess(member, name);
    if (await goneWithin(tree, policy.graceMs / gentle.length, clock, signal)) break;
  }
  await killTree(tree, clock, signal);
}

/** Leaves nothing: not what it started, and not its runner, whose last line is then on disk. */
export async function killTree(tree: () => ProcessTree, clock: Clock, signal: AbortSignal): Promise<void> {
  const deadline = clock.monotonic() + KILL_MS;
  for (;;) {
    const now = tree();
    const { init, runner } = now.known;
    if (init !== undefined) signalProcess(init, 'SIGKILL');
    const members = membersOf(now);
    for (const member of members) signalProcess(member, 'SIGKILL');
    const initGone = init === undefined || !isAlive(init);
    const runnerGone = runner === undefined || !isAlive(runner);
    if (members.length === 0 && initGone) {
      if (runnerGone) return;
      // With nothing left to wait for it writes its last line and ends; it is not worth more than a second.
      if (clock.monotonic() > deadline - KILL_MS + 1_000 && runner !== undefined)
        signalProcess(runner, 'SIGKILL');
    }
    if (clock.monotonic() > deadline) {
      throw new KilnError('internal', `${now.id} did not end though it was killed.`, {
        next: `Look at its processes (${members.map((member) => member.pid).join(', ')}): they hang in the kernel.`,
        retryable: true,
      });
    }
    await clock.sleep(POLL_MS, signal);
  }
}

async function goneWithin(
  tree: () => ProcessTree,
  limitMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<boolean> {
  const deadline = clock.monotonic() + limitMs;
  for (;;) {
    const now = tree();
    // Its main process is asked about first: reading all of /proc while it still runs would be for nothing.
    const mainRuns = now.known.main !== undefined && isAlive(now.known.main);
    if (!mainRuns && membersOf(now).length === 0) return true;
    if (clock.monotonic() >= deadline) return false;
    await clock.sleep(POLL_MS, signal);
  }
}
