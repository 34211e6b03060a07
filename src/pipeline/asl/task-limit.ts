/**
 * Limits of Tasks whose states name none. They are an executor's, and come with the machine as data; the language has
 * only AWS's three years, which hold where a machine comes without them.
 */
import { z } from 'zod';
import { isObject, type Json } from './json.ts';

export const taskLimit = z.strictObject({
  /** For what the task does. */
  seconds: z.number().positive(),
  /** Before that, until the executor says that it has begun; absent: `seconds` are for all of it. */
  waitSeconds: z.number().positive().optional(),
  /** An argument of the task in seconds, for which `seconds` has so much room: a larger one makes them as much more. */
  argument: z.strictObject({ name: z.string(), seconds: z.number(), mostSeconds: z.number() }).optional(),
  /** How to have another one: the end of the cause. */
  remedy: z.string(),
});

/** By resource, as the states name it. */
export const taskLimits = z.record(z.string(), taskLimit);

export type TaskLimit = z.infer<typeof taskLimit>;
export type TaskLimits = Readonly<Record<string, TaskLimit>>;

/** The limit of one task that was asked for. */
export interface LimitInForce {
  /** From when it was asked for. */
  readonly seconds: number;
  /** From when it began. */
  readonly workSeconds: number;
  readonly remedy: string;
}

export function limitFor(limits: TaskLimits | undefined, resource: string): TaskLimit | undefined {
  return limits !== undefined && Object.hasOwn(limits, resource) ? limits[resource] : undefined;
}

export function limitInForce(limit: TaskLimit, given: Json): LimitInForce {
  const { seconds, waitSeconds = 0, argument, remedy } = limit;
  const asked = argument && isObject(given) ? given[argument.name] : undefined;
  const more = argument && typeof asked === 'number' ? Math.max(0, asked - argument.seconds) : 0;
  const workSeconds = seconds + more;
  return { seconds: waitSeconds + workSeconds, workSeconds, remedy };
}

/** `2 h`, or `1 d + 2 h` where it has so long to begin. */
export function limitWords({ seconds, waitSeconds }: Pick<TaskLimit, 'seconds' | 'waitSeconds'>): string {
  return [...(waitSeconds === undefined ? [] : [waitSeconds]), seconds].map(spanWords).join(' + ');
}

const SPANS = [
  [24 * 3_600, 'd'],
  [3_600, 'h'],
  [60, 'min'],
] as const;

/** In the largest unit of which it is a whole number. */
function spanWords(seconds: number): string {
  const [size, unit] = SPANS.find(([span]) => seconds % span === 0 && seconds >= span) ?? [1, 's'];
  return `${seconds / size} ${unit}`;
}

/** Why a task of this resource ended as `States.Timeout`. */
export function limitCause(resource: string, limit: LimitInForce, hasBegun: boolean): string {
  return `${resource} had not ended in time: ${limitText(limit, hasBegun)}`;
}

export function limitText({ seconds, workSeconds, remedy }: LimitInForce, hasBegun: boolean): string {
  const since = workSeconds === seconds ? '' : hasBegun ? ' from its beginning' : ' in all';
  return `it has ${hasBegun ? workSeconds : seconds} s${since}, as its state says nothing else. ${remedy}`;
}
