/** What a pipeline says of its folder's component that its kiln.yaml knows nothing of. It may come into being later. */
import { suggest } from '../../component/suggest.ts';
import type { Level, QueryLanguage, StateMachine, TaskState } from '../asl/definition.ts';
import type { DefinitionFault, DefinitionPath } from '../asl/faults.ts';
import { isObject, type JsonObject } from '../asl/json.ts';
import { literalArguments } from './literal-arguments.ts';
import { innerLevels } from './resource-faults.ts';
import { resourceName } from './resources.ts';

export interface FolderFacts {
  readonly component: string;
  /** As in its kiln.yaml. */
  readonly environments: readonly string[];
}

export function folderWarnings(machine: StateMachine, facts: FolderFacts): readonly DefinitionFault[] {
  return ofLevel(machine, machine.QueryLanguage ?? 'JSONPath', facts, []);
}

function ofLevel(
  level: Level,
  language: QueryLanguage,
  facts: FolderFacts,
  path: DefinitionPath,
): readonly DefinitionFault[] {
  return Object.entries(level.States).flatMap(([name, state]) => {
    const here = [...path, 'States', name];
    if (state.Type === 'Task') return ofTask(state, state.QueryLanguage ?? language, facts, here);
    return innerLevels(state, here).flatMap((inner) => ofLevel(inner.level, language, facts, inner.path));
  });
}

function ofTask(
  state: TaskState,
  language: QueryLanguage,
  { component, environments }: FolderFacts,
  path: DefinitionPath,
): readonly DefinitionFault[] {
  const field = language === 'JSONata' ? 'Arguments' : 'Parameters';
  const written = state[field];
  if (!isObject(written) || state.Resource.startsWith('arn:')) return [];
  const given = textsOf(written, language);
  const at = (argument: string): DefinitionPath => [...path, field, argument];
  const isOwn = given.component === undefined || given.component === component;
  return [
    ...(isOwn ? unknownEnvironment(given.environment, environments, at('environment')) : []),
    ...nearComponent(given.component, component, at('component')),
    ...(resourceName(state.Resource) === 'promote'
      ? levelAsChannel(given.channel, environments, at('channel'))
      : []),
  ];
}

/** Arguments that stand in the file as texts. */
function textsOf(written: JsonObject, language: QueryLanguage): Readonly<Record<string, string>> {
  const literal = literalArguments(written, language);
  const entries = typeof literal === 'object' && literal !== null ? Object.entries(literal) : [];
  return Object.fromEntries(
    entries.flatMap(([key, value]) => (typeof value === 'string' ? [[key, value]] : [])),
  );
}

function unknownEnvironment(
  found: string | undefined,
  environments: readonly string[],
  path: DefinitionPath,
): readonly DefinitionFault[] {
  if (found === undefined || environments.length === 0 || environments.includes(found)) return [];
  const didYouMean = suggest(found, environments);
  return [
    {
      path,
      at: 'value',
      message: 'the kiln.yaml says nothing of this environment',
      found,
      expected: `one of ${environments.join(', ')}`,
      ...(didYouMean !== undefined && { didYouMean }),
    },
  ];
}

/** Another component is nothing odd; one that is called nearly as this one is. */
function nearComponent(
  found: string | undefined,
  component: string,
  path: DefinitionPath,
): readonly DefinitionFault[] {
  const didYouMean = found === undefined ? undefined : suggest(found, [component]);
  if (didYouMean === undefined) return [];
  return [
    { path, at: 'value', message: 'not the component of this folder', found: String(found), didYouMean },
  ];
}

function levelAsChannel(
  found: string | undefined,
  environments: readonly string[],
  path: DefinitionPath,
): readonly DefinitionFault[] {
  const levels = environments.map((environment) => environment.split('/')[0]);
  if (found === undefined || !levels.includes(found)) return [];
  const expected = 'a name that says what is known of its image, such as proven';
  return [{ path, at: 'value', message: 'a channel that is called as environments are', found, expected }];
}
