/**
 * How long a task may take whose state names no `TimeoutSeconds`: what its verb declares, or what the settings say.
 * Nothing that Kiln runs has AWS's three years.
 */
import { suggest } from '../../component/suggest.ts';
import { KilnError } from '../../domain/errors.ts';
import type { Level, StateMachine } from '../asl/definition.ts';
import type { TaskLimit } from '../asl/task-limit.ts';
import { innerLevels } from './resource-faults.ts';
import { resourceName, type TaskResource, type VerbLimit } from './resources.ts';
import { isTransferResource } from './transfer-resources.ts';

const HOUR = 3_600;
const DAY = 24 * HOUR;

/** Of what is no verb's work: a token that somebody has to send, and items and results of a Map. */
const OTHERS = { token: { seconds: 7 * DAY }, items: { seconds: HOUR } } as const satisfies Record<
  string,
  VerbLimit
>;

/** Of a resource as a state names it; undefined: it is not Kiln's. */
export type LimitOf = (resource: string) => TaskLimit | undefined;

/** `seconds` are the settings' own, by name. Fails with `input.invalid` where one names nothing that has a limit. */
export function verbLimits(
  resources: readonly TaskResource[],
  seconds: Readonly<Record<string, number>> = {},
): LimitOf {
  const verbs = resources.flatMap(({ name, limit }): [string, VerbLimit][] => (limit ? [[name, limit]] : []));
  const known = new Map<string, VerbLimit>([...verbs, ...Object.entries(OTHERS)]);
  const odd = Object.keys(seconds).find((name) => !known.has(name));
  if (odd !== undefined) throw unknownLimit(odd, [...known.keys()]);
  const given = new Map(Object.entries(seconds));
  return (resource) => {
    const name = limitName(resource);
    const limit = known.get(name);
    return limit && asTaskLimit(name, { ...limit, seconds: given.get(name) ?? limit.seconds });
  };
}

function limitName(resource: string): string {
  if (resource.endsWith('.waitForTaskToken')) return 'token';
  return isTransferResource(resource) ? 'items' : resourceName(resource);
}

function asTaskLimit(name: string, limit: VerbLimit): TaskLimit {
  // A Map has no TimeoutSeconds for them.
  const inFile = name === 'items' ? 'To allow more,' : 'Give the state TimeoutSeconds, or';
  return { ...limit, remedy: `${inFile} set pipelines.limitSeconds.${name} in settings.yaml.` };
}

function unknownLimit(name: string, known: readonly string[]): KilnError {
  const meant = suggest(name, known);
  return new KilnError(
    'input.invalid',
    `pipelines.limitSeconds.${name} in settings.yaml is the limit of nothing.`,
    {
      next: meant === undefined ? `Write one of ${known.join(', ')}.` : `Did you mean ${meant}?`,
    },
  );
}

/** The machine with the limits of those of its tasks and transfers that name none. */
export function withLimits(machine: StateMachine, limitOf: LimitOf): StateMachine {
  const limits = resourcesOf(machine).flatMap((resource): [string, TaskLimit][] => {
    const limit = limitOf(resource);
    return limit === undefined ? [] : [[resource, limit]];
  });
  return limits.length === 0 ? machine : { ...machine, limits: Object.fromEntries(limits) };
}

/** Each once, in the order of their names: the order of states means nothing. */
function resourcesOf(level: Level): readonly string[] {
  const found = new Set<string>();
  const collect = ({ States: states }: Level): void => {
    for (const state of Object.values(states)) {
      if (state.Type === 'Task') {
        if (state.TimeoutSeconds === undefined && state.TimeoutSecondsPath === undefined)
          found.add(state.Resource);
      } else if (state.Type === 'Map') {
        for (const transfer of [state.ItemReader, state.ResultWriter])
          if (transfer?.Resource !== undefined) found.add(transfer.Resource);
      }
      for (const inner of innerLevels(state, [])) collect(inner.level);
    }
  };
  collect(level);
  return [...found].toSorted();
}
