/** What a schema cannot say: where transitions lead, what is reached, which fields exclude each other. */
import { suggest } from '../../component/suggest.ts';
import { choiceFaults, choiceTargets } from './choice-rules.ts';
import type { Level, QueryLanguage, TaskState, WaitState } from './definition.ts';
import { expressionFaults } from './expression-rules.ts';
import type { DefinitionFault, DefinitionPath } from './faults.ts';
import { mapFaults } from './map-rules.ts';
import type { State } from './schema.ts';
import { twinFaults } from './twin-rules.ts';

export async function levelFaults(
  level: Level,
  path: DefinitionPath,
  language: QueryLanguage,
): Promise<readonly DefinitionFault[]> {
  const faults = [...startFaults(level, path), ...unreachable(level, path)];
  for (const [name, state] of Object.entries(level.States)) {
    const statePath = [...path, 'States', name];
    const own = state.QueryLanguage ?? language;
    faults.push(
      ...targetFaults(level, state, statePath),
      ...leadFaults(state, statePath),
      ...languageFaults(state, statePath, language),
      ...(await expressionFaults(state, statePath, own)),
      ...typeFaults(state, statePath, own),
      ...(await innerFaults(state, statePath, language)),
    );
  }
  return faults;
}

async function innerFaults(
  state: State,
  path: DefinitionPath,
  language: QueryLanguage,
): Promise<readonly DefinitionFault[]> {
  if (state.Type === 'Map') {
    const key = state.ItemProcessor === undefined ? 'Iterator' : 'ItemProcessor';
    const processor = state.ItemProcessor ?? state.Iterator;
    return processor === undefined ? [] : levelFaults(processor, [...path, key], language);
  }
  if (state.Type !== 'Parallel') return [];
  const faults: DefinitionFault[] = [];
  for (const [at, branch] of state.Branches.entries()) {
    faults.push(...(await levelFaults(branch, [...path, 'Branches', at], language)));
  }
  return faults;
}

function startFaults(level: Level, path: DefinitionPath): readonly DefinitionFault[] {
  if (Object.hasOwn(level.States, level.StartAt)) return [];
  return [noSuchState(level, level.StartAt, [...path, 'StartAt'])];
}

interface Target {
  readonly name: string;
  readonly path: DefinitionPath;
}

function targetsOf(state: State, path: DefinitionPath): readonly Target[] {
  const targets: Target[] = [];
  if ('Next' in state && state.Next !== undefined)
    targets.push({ name: state.Next, path: [...path, 'Next'] });
  if ('Catch' in state) {
    for (const [at, { Next }] of (state.Catch ?? []).entries()) {
      targets.push({ name: Next, path: [...path, 'Catch', at, 'Next'] });
    }
  }
  if (state.Type === 'Choice') targets.push(...choiceTargets(state, path));
  return targets;
}

function targetFaults(level: Level, state: State, path: DefinitionPath): readonly DefinitionFault[] {
  return targetsOf(state, path)
    .filter(({ name }) => !Object.hasOwn(level.States, name))
    .map((target) => noSuchState(level, target.name, target.path));
}

function noSuchState(level: Level, name: string, path: DefinitionPath): DefinitionFault {
  const names = Object.keys(level.States);
  const didYouMean = suggest(name, names);
  return {
    path,
    at: 'value',
    message: `there is no state "${name}" here`,
    expected: names.length === 0 ? 'at least one state' : `one of ${names.slice(0, 20).join(', ')}`,
    ...(didYouMean !== undefined && { didYouMean }),
  };
}

function unreachable(level: Level, path: DefinitionPath): readonly DefinitionFault[] {
  const reached = new Set<string>();
  const open = [level.StartAt];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const state = Object.hasOwn(level.States, name) ? level.States[name] : undefined;
    if (state === undefined || reached.has(name)) continue;
    reached.add(name);
    open.push(...targetsOf(state, []).map((target) => target.name));
  }
  if (reached.size === 0) return [];
  return Object.keys(level.States)
    .filter((name) => !reached.has(name))
    .map((name) => ({
      path: [...path, 'States', name],
      at: 'key',
      message: `nothing leads to the state "${name}"`,
      expected: `a way to it from "${level.StartAt}"`,
    }));
}

/** Exactly one of Next and End, where a state leads on at all. */
function leadFaults(state: State, path: DefinitionPath): readonly DefinitionFault[] {
  if (state.Type === 'Choice' || state.Type === 'Succeed' || state.Type === 'Fail') return [];
  const ends = state.End === true;
  if (ends !== (state.Next !== undefined)) return [];
  return [
    {
      path,
      at: 'key',
      message: ends ? 'the state both ends and leads on' : 'the state leads nowhere',
      expected: 'Next: the name of a state, or End: true',
    },
  ];
}

const JSONPATH_FIELDS = [
  'Result',
  'InputPath',
  'OutputPath',
  'Parameters',
  'ResultSelector',
  'ResultPath',
  'ItemsPath',
];
const PATH_ENDING =
  /^(Seconds|Timestamp|TimeoutSeconds|HeartbeatSeconds|Error|Cause|MaxConcurrency|ToleratedFailure\w+)Path$/;
const JSONATA_FIELDS = ['Arguments', 'Output', 'Items'];

function languageFaults(
  state: State,
  path: DefinitionPath,
  language: QueryLanguage,
): readonly DefinitionFault[] {
  const own = state.QueryLanguage ?? language;
  if (own === 'JSONPath' && language === 'JSONata') {
    return [
      { path: [...path, 'QueryLanguage'], at: 'value', message: 'a JSONata machine has JSONata states only' },
    ];
  }
  return Object.keys(state)
    .filter((field) =>
      own === 'JSONata'
        ? JSONPATH_FIELDS.includes(field) || PATH_ENDING.test(field)
        : JSONATA_FIELDS.includes(field),
    )
    .map((field) => ({
      path: [...path, field],
      at: 'key',
      message: `"${field}" is not a field of a ${own} state`,
      expected: own === 'JSONata' ? 'Arguments, Output, Assign' : 'Parameters, ResultSelector, ResultPath…',
    }));
}

function typeFaults(state: State, path: DefinitionPath, language: QueryLanguage): readonly DefinitionFault[] {
  switch (state.Type) {
    case 'Choice':
      return choiceFaults(state, path, language);
    case 'Wait':
      return waitFaults(state, path);
    case 'Map':
      return [...mapFaults(state, path), ...retryFaults(state, path)];
    case 'Task':
      return [...heartbeatFaults(state, path), ...twinFaults(state, path), ...retryFaults(state, path)];
    case 'Parallel':
      return retryFaults(state, path);
    case 'Fail':
      return twinFaults(state, path);
    default:
      return [];
  }
}

function heartbeatFaults(state: TaskState, path: DefinitionPath): readonly DefinitionFault[] {
  const { HeartbeatSeconds, TimeoutSeconds } = state;
  if (typeof HeartbeatSeconds !== 'number' || typeof TimeoutSeconds !== 'number') return [];
  if (HeartbeatSeconds < TimeoutSeconds) return [];
  return [
    {
      path: [...path, 'HeartbeatSeconds'],
      at: 'value',
      message: 'a heartbeat that comes too late to matter',
      expected: 'less than TimeoutSeconds',
    },
  ];
}

function waitFaults(state: WaitState, path: DefinitionPath): readonly DefinitionFault[] {
  const fields = ['Seconds', 'SecondsPath', 'Timestamp', 'TimestampPath'] as const;
  if (fields.filter((field) => state[field] !== undefined).length === 1) return [];
  return [
    {
      path,
      at: 'key',
      message: 'how long to wait is not clear',
      expected: `exactly one of ${fields.join(', ')}`,
    },
  ];
}

/** `States.ALL` stands alone and last. */
function retryFaults(state: State, path: DefinitionPath): readonly DefinitionFault[] {
  return (['Retry', 'Catch'] as const).flatMap((field) => {
    const entries: readonly { readonly ErrorEquals: readonly string[] }[] =
      field in state ? (Reflect.get(state, field) ?? []) : [];
    return entries.flatMap(({ ErrorEquals }, at): DefinitionFault[] => {
      if (!ErrorEquals.includes('States.ALL')) return [];
      if (ErrorEquals.length === 1 && at === entries.length - 1) return [];
      const message =
        ErrorEquals.length > 1 ? 'States.ALL stands alone' : 'nothing after States.ALL is ever used';
      return [
        {
          path: [...path, field, at, 'ErrorEquals'],
          at: 'value',
          message,
          expected: 'States.ALL alone and last',
        },
      ];
    });
  });
}
