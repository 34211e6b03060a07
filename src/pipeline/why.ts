/** What an execution waits for, in words and as data. */
import type { ReleaseEvidence } from '../domain/release-evidence.ts';
import type { Execution, Thread } from './asl/execution.ts';
import { isObject, type Json, type JsonObject } from './asl/json.ts';
import { limitText } from './asl/task-limit.ts';
import { LONGEST_SETTING } from './executor/overdue.ts';
import { approvalOf } from './tasks/approve.ts';

export interface Waits {
  readonly state: string;
  readonly kind: 'time' | 'back-off' | 'approval' | 'task' | 'token' | 'transfer';
  readonly text: string;
  readonly sinceMs: number;
  /** It goes on by then, in whatever way. */
  readonly untilMs?: number;
  /** What happens then, and where to have it later. */
  readonly limit?: string;
  readonly task?: string;
  readonly resource?: string;
  /** That it is about; whoever answers an approval must be allowed to change each. */
  readonly environments?: readonly string[];
  readonly role?: 'deployer' | 'admin';
  /** What the pipeline hands to whoever decides. */
  readonly evidence?: Json;
  /** That an approval asks about. */
  readonly images?: readonly string[];
  /** What is known of each of them, once it has been gathered. */
  readonly releases?: readonly ReleaseEvidence[];
  /** What the task has said last. */
  readonly progress?: string;
}

export function waitsOf(execution: Execution, isApproval: (resource: string) => boolean): readonly Waits[] {
  return Object.values(execution.threads).flatMap((thread) => waitOf(thread, isApproval) ?? []);
}

/** What an answer to an approval is kept with: the image, and what it was to replace as things stood by then. */
export function decidedOn(release: ReleaseEvidence): JsonObject {
  if (!release.known) {
    const { image, environment } = release.asked;
    return { image, ...(environment !== undefined && { environment }), unknown: release.why };
  }
  const { image, replaces } = release;
  return {
    image: image.id,
    component: image.component,
    version: image.version,
    ...(replaces.kind !== 'unasked' && { environment: replaces.environment }),
    ...(replaces.kind === 'release' && {
      replaces: { release: replaces.number, image: replaces.image, version: replaces.version },
    }),
  };
}

function waitOf(thread: Thread, isApproval: (resource: string) => boolean): Waits | undefined {
  const { state, waitsFor, enteredAtMs: sinceMs } = thread;
  switch (waitsFor.kind) {
    case 'time':
      return {
        state,
        kind: 'time',
        sinceMs,
        untilMs: waitsFor.atMs,
        text: `waits until ${when(waitsFor.atMs)}`,
      };
    case 'backOff': {
      const text = `failed, and is tried again at ${when(waitsFor.atMs)}`;
      return { state, kind: 'back-off', sinceMs, untilMs: waitsFor.atMs, text };
    }
    case 'task': {
      const { task, resource, arguments: given, ends } = waitsFor.request;
      const untilMs = waitsFor.timeoutAtMs;
      const about = { state, sinceMs, task, resource };
      const ending = `at ${when(untilMs)} it ends as States.Timeout`;
      const limit = waitsFor.limit ? `${ending}: ${limitText(waitsFor.limit, waitsFor.started)}` : ending;
      const approval = isApproval(resource) ? approvalOf(given) : undefined;
      if (approval !== undefined) {
        const { message, environment, image, role, deadlineSeconds, default: byDefault, evidence } = approval;
        const dueAtMs = Math.min(untilMs, sinceMs + deadlineSeconds * 1_000);
        const said = message === undefined ? '' : `: ${message}`;
        const text = `waits for ${role === 'admin' ? 'an' : 'a'} ${role} to approve${said}; at ${when(dueAtMs)} the answer is ${byDefault}`;
        const more = {
          ...(environment !== undefined && { environments: listed(environment) }),
          ...(image !== undefined && { images: listed(image) }),
          ...(evidence !== undefined && { evidence }),
        };
        return { ...about, kind: 'approval', text, untilMs: dueAtMs, role, ...more };
      }
      const target = isObject(given) && typeof given.environment === 'string' ? given.environment : undefined;
      const isToken = ends === 'tokenReturned' && waitsFor.submitted;
      const text = isToken ? `${resource} is asked; its token has not come back` : `${resource} is at work`;
      return {
        ...about,
        kind: isToken ? 'token' : 'task',
        text,
        untilMs,
        limit,
        ...(target !== undefined && { environments: [target] }),
      };
    }
    case 'reading':
    case 'writing':
      return {
        state,
        kind: 'transfer',
        sinceMs,
        untilMs: waitsFor.timeoutAtMs,
        text: waitsFor.kind === 'reading' ? 'items are read' : 'results are written',
        limit: `at ${when(waitsFor.timeoutAtMs)} that fails`,
      };
    default:
      return undefined;
  }
}

/** Nothing is waited for longer than the execution may be open. */
export function withinExecution(waits: Waits, { atMs, because }: LastMoment): Waits {
  if (atMs === Number.POSITIVE_INFINITY || (waits.untilMs ?? Number.POSITIVE_INFINITY) <= atMs) return waits;
  return { ...waits, untilMs: atMs, limit: `at ${when(atMs)} the execution ends: ${because}` };
}

/** When an execution ends whatever it waits for, and by what rule. */
export interface LastMoment {
  readonly atMs: number;
  readonly because: string;
}

export function lastMoment({ deadline }: Execution, overdueAtMs: number): LastMoment {
  if (deadline !== undefined && deadline.atMs < overdueAtMs)
    return { atMs: deadline.atMs, because: 'the TimeoutSeconds of its definition' };
  return { atMs: overdueAtMs, because: `none is open for longer (${LONGEST_SETTING})` };
}

function listed(one: string | readonly string[]): readonly string[] {
  return typeof one === 'string' ? [one] : one;
}

function when(atMs: number): string {
  return new Date(atMs).toISOString();
}
