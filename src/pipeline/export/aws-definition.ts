/**
 * The same definition for AWS Step Functions, with Kiln's tasks as Activities: only what a Task's `Resource` says is
 * another one. Parameters, triggers and the like are Kiln's, and are not part of it. Pure.
 */
import { KilnError } from '../../domain/errors.ts';
import type { Level, StateMachine } from '../asl/definition.ts';
import { isArray, isObject, type Json, type JsonObject } from '../asl/json.ts';
import { innerLevels } from '../definition/resource-faults.ts';
import { resourceName } from '../definition/resources.ts';

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
export function exportForAws(machine: StateMachine, place: AwsPlace): AwsExport {
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
  const definition = withActivities(text, (state, resource) => {
    if (resource.startsWith('arn:')) return resource;
    if (resource.endsWith('.waitForTaskToken')) tokens.push(state);
    const task = resourceName(resource);
    tasks.add(task);
    return activityArn(task, place);
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

type Rename = (state: string, resource: string) => string;

/** Every level has its states under `States`; levels are in branches and processors of states. */
function withActivities(level: JsonObject, rename: Rename): JsonObject {
  const { States: states } = level;
  if (!isObject(states)) return level;
  const renamed = Object.entries(states).map(([name, state]) => [
    name,
    isObject(state) ? inState(name, state, rename) : state,
  ]);
  return { ...level, States: Object.fromEntries(renamed) };
}

function inState(name: string, state: JsonObject, rename: Rename): JsonObject {
  if (state.Type === 'Task' && typeof state.Resource === 'string')
    return { ...state, Resource: rename(name, state.Resource) };
  const inner = (value: Json): Json => (isObject(value) ? withActivities(value, rename) : value);
  return Object.fromEntries(
    Object.entries(state).map(([key, value]) => {
      if (key === 'Branches' && isArray(value)) return [key, value.map(inner)];
      return [key, key === 'ItemProcessor' || key === 'Iterator' ? inner(value) : value];
    }),
  );
}
