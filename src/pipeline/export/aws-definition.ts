/**
 * The same definition for AWS Step Functions, with Kiln's tasks as Activities: only what a Task's `Resource` says is
 * another one, and a Task that has no time-out gets the limit that it has here: AWS knows none. Parameters, triggers and the like are Kiln's, and are not part of it. Pure.
 */
import { KilnError } from '../../domain/errors.ts';
import type { Level, StateMachine } from '../asl/definition.ts';
import { isArray, isObject, type Json, type JsonObject } from '../asl/json.ts';
import { limitInForce, type TaskLimit } from '../asl/task-limit.ts';
import { innerLevels } from '../definition/resource-faults.ts';
import { resourceName } from '../definition/resources.ts';
import type { LimitOf } from '../definition/verb-limits.ts';

export interface AwsPlace {
  readonly region: string;
  /** Twelve digits. */
  readonly account: string;
  /** Before the task's name in that of the Activity. */
  readonly prefix: string;
}

export interface AwsExport {
  readonly definition: JsonObject;
  /** Those that must exist before the definition can be created, and the task that each is. */
  readonly activities: readonly { readonly arn: string; readonly name: string; readonly task: string }[];
}

/** Fails with `pipeline.invalid`, naming every state that AWS cannot run so. */
export function exportForAws(machine: StateMachine, place: AwsPlace, limitOf: LimitOf): AwsExport {
  const withFiles = mapsOfFiles(machine);
  if (withFiles.length > 0) {
    throw new KilnError('pipeline.invalid', `AWS has no files of a source: ${withFiles.join(', ')}.`, {
      next: 'Have their items and results in S3.',
    });
  }
  // What was read from a file is JSON, whatever its type knows of it.
  const text: JsonObject = JSON.parse(JSON.stringify(machine));
  const tasks = new Set<string>();
  const tokens: string[] = [];
  const definition = withActivities(text, (name, resource, state) => {
    if (resource.startsWith('arn:')) return state;
    if (resource.endsWith('.waitForTaskToken')) tokens.push(name);
    const task = resourceName(resource);
    tasks.add(task);
    return { ...state, Resource: activityArn(task, place), ...timeoutOf(state, limitOf(resource)) };
  });
  if (tokens.length > 0) {
    throw new KilnError(
      'pipeline.invalid',
      `Activities have a token of their own and cannot wait for another one: ${tokens.join(', ')}.`,
      { next: 'Leave .waitForTaskToken away there, or use a service that AWS calls with a token.' },
    );
  }
  const activities = [...tasks].toSorted().map((task) => {
    const arn = activityArn(task, place);
    return { arn, name: arn.split(':').at(-1) ?? '', task };
  });
  return { definition, activities };
}

/** Names of Activities may not hold everything that names of tasks do. */
export function activityArn(task: string, { region, account, prefix }: AwsPlace): string {
  const partition = region.startsWith('cn-') ? 'aws-cn' : region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws';
  return `arn:${partition}:states:${region}:${account}:activity:${prefix}${task.replaceAll('.', '-')}`;
}

function mapsOfFiles(level: Level): readonly string[] {
  return Object.entries(level.States).flatMap(([name, state]) => {
    const transfers = state.Type === 'Map' ? [state.ItemReader, state.ResultWriter] : [];
    const isOfFiles = transfers.some((transfer) => transfer?.Resource?.startsWith('file.'));
    const inside = innerLevels(state, []).flatMap((inner) => mapsOfFiles(inner.level));
    return isOfFiles ? [name, ...inside] : inside;
  });
}

/** As long as it may take here whatever its arguments are, where these are known only when it runs. */
function timeoutOf(state: JsonObject, limit: TaskLimit | undefined): JsonObject {
  if (limit === undefined || state.TimeoutSeconds !== undefined || state.TimeoutSecondsPath !== undefined)
    return {};
  const given = state.Arguments ?? state.Parameters;
  const { name, mostSeconds } = limit.argument ?? { name: '', mostSeconds: 0 };
  const isKnown = isObject(given) && given[`${name}.$`] === undefined && typeof given[name] !== 'string';
  const { seconds } = limitInForce(limit, isKnown ? given : { [name]: mostSeconds });
  return { TimeoutSeconds: Math.ceil(seconds) };
}

type Rewrite = (name: string, resource: string, state: JsonObject) => JsonObject;

/** Every level has its states under `States`; levels are in branches and processors of states. */
function withActivities(level: JsonObject, rewrite: Rewrite): JsonObject {
  const { States: states } = level;
  if (!isObject(states)) return level;
  const renamed = Object.entries(states).map(([name, state]) => [
    name,
    isObject(state) ? inState(name, state, rewrite) : state,
  ]);
  return { ...level, States: Object.fromEntries(renamed) };
}

function inState(name: string, state: JsonObject, rewrite: Rewrite): JsonObject {
  if (state.Type === 'Task' && typeof state.Resource === 'string')
    return rewrite(name, state.Resource, state);
  const inner = (value: Json): Json => (isObject(value) ? withActivities(value, rewrite) : value);
  return Object.fromEntries(
    Object.entries(state).map(([key, value]) => {
      if (key === 'Branches' && isArray(value)) return [key, value.map(inner)];
      return [key, key === 'ItemProcessor' || key === 'Iterator' ? inner(value) : value];
    }),
  );
}
