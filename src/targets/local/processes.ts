/**
 * Processes as /proc shows them. A pid alone says nothing: it may have been given to another process, and a
 * zombie answers to it. A process is meant by its pid and its start time, and lives when its state says so.
 * Reads are synchronous: /proc never waits for a disk, and a promise costs more than the read.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { isSystemError } from '../../files/system-error.ts';

export interface ProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since boot. */
  readonly startTicks: number;
}

export interface ProcessEntry extends ProcessIdentity {
  readonly parent: number;
}

/** Living processes by pid; zombies are not among them. */
export type ProcessTable = ReadonlyMap<number, ProcessEntry>;

/** Undefined when there is no such process or only its zombie. */
export function livingProcess(pid: number): ProcessEntry | undefined {
  const stat = readQuietly(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The command's name stands in brackets and may hold anything, brackets too: fields count from the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, parent] = fields;
  if (state === 'Z' || state === 'X' || state === 'x') return undefined;
  return { pid, parent: Number(parent), startTicks: Number(fields[19]) };
}

export function isAlive(identity: ProcessIdentity): boolean {
  return livingProcess(identity.pid)?.startTicks === identity.startTicks;
}

export function processTable(): ProcessTable {
  const table = new Map<number, ProcessEntry>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const entry = livingProcess(pid);
    if (entry !== undefined) table.set(pid, entry);
  }
  return table;
}

/** All that descend from these, without themselves. */
export function descendants(table: ProcessTable, roots: readonly number[]): readonly ProcessEntry[] {
  const children = new Map<number, ProcessEntry[]>();
  for (const entry of table.values()) {
    const siblings = children.get(entry.parent);
    if (siblings === undefined) children.set(entry.parent, [entry]);
    else siblings.push(entry);
  }
  const found: ProcessEntry[] = [];
  const pending = [...roots];
  for (let pid = pending.pop(); pid !== undefined; pid = pending.pop()) {
    for (const child of children.get(pid) ?? []) {
      found.push(child);
      pending.push(child.pid);
    }
  }
  return found;
}

/** Children that the process's main thread has; those of other threads are found in a table only. */
export function childrenOf(pid: number): readonly number[] {
  const children = readQuietly(`/proc/${pid}/task/${pid}/children`);
  if (children === undefined) {
    return [...processTable().values()].filter((entry) => entry.parent === pid).map((entry) => entry.pid);
  }
  return children
    .split(' ')
    .filter((text) => text !== '')
    .map(Number);
}

/** The environment that it was started with; undefined when it is gone or another user's. */
export function startEnvironment(pid: number): ReadonlyMap<string, string> | undefined {
  const text = readQuietly(`/proc/${pid}/environ`);
  if (text === undefined) return undefined;
  const variables = new Map<string, string>();
  for (const pair of text.split('\0')) {
    const at = pair.indexOf('=');
    if (at > 0) variables.set(pair.slice(0, at), pair.slice(at + 1));
  }
  return variables;
}

/** Sockets that the process holds open, by inode, with their place in /proc; empty when it is another user's. */
export function openSockets(pid: number): ReadonlyMap<string, string> {
  const sockets = new Map<string, string>();
  for (const name of listQuietly(`/proc/${pid}/fd`)) {
    const place = `/proc/${pid}/fd/${name}`;
    const inode = socketAt(place);
    if (inode !== undefined) sockets.set(inode, place);
  }
  return sockets;
}

/** Inode of the socket at a place that `openSockets` gave; undefined when it is closed by now. */
export function socketAt(place: string): string | undefined {
  const link = readLinkQuietly(place);
  return link?.startsWith('socket:[') ? link.slice(8, -1) : undefined;
}

/** True when the signal was sent; false when that very process is gone. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false;
  try {
    return process.kill(identity.pid, signal);
  } catch (error) {
    if (isSystemError(error, 'ESRCH')) return false;
    throw error;
  }
}

/** Changes with every boot, which is what makes start times comparable. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** What is in /proc goes whenever its process goes, between any two reads: absent is an answer, not a failure. */
function readQuietly(file: string): string | undefined {
  return absentWhenGone(() => readFileSync(file, 'utf8'));
}

function listQuietly(directory: string): readonly string[] {
  return absentWhenGone(() => readdirSync(directory)) ?? [];
}

function readLinkQuietly(link: string): string | undefined {
  return absentWhenGone(() => readlinkSync(link));
}

function absentWhenGone<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM', 'EINVAL')) {
      return undefined;
    }
    throw error;
  }
}
