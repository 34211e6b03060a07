/** A state machine as nodes and edges, with what lies inside Parallel and Map states as graphs of their own. */
import type { Level, StateMachine, TaskState } from '../asl/definition.ts';
import { isObject, type JsonObject } from '../asl/json.ts';
import type { State } from '../asl/schema.ts';
import { limitFor, limitWords, type TaskLimits } from '../asl/task-limit.ts';
import { innerLevels } from './resource-faults.ts';

export interface Graph {
  readonly start: string;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}

export interface GraphNode {
  /** Unique in the whole machine. */
  readonly id: string;
  readonly name: string;
  readonly type: State['Type'];
  readonly detail?: string;
  readonly ends: boolean;
  readonly inner: readonly Graph[];
}

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  readonly kind: 'next' | 'choice' | 'default' | 'catch';
  readonly label?: string;
}

export function graphOf(machine: StateMachine): Graph {
  return levelGraph(machine, '', machine.limits ?? {});
}

function levelGraph(level: Level, prefix: string, limits: TaskLimits): Graph {
  const idOf = (name: string): string => `${prefix}${Object.keys(level.States).indexOf(name)}`;
  const nodes = Object.entries(level.States).map(([name, state]): GraphNode => {
    const detail = detailOf(state, limits);
    return {
      id: idOf(name),
      name,
      type: state.Type,
      ...(detail !== undefined && { detail }),
      ends: state.Type === 'Succeed' || state.Type === 'Fail' || ('End' in state && state.End === true),
      inner: innerLevels(state, []).map((inner, at) =>
        levelGraph(inner.level, `${idOf(name)}_${at}_`, limits),
      ),
    };
  });
  const edges = Object.entries(level.States).flatMap(([name, state]) =>
    edgesOf(state).map(({ to, ...edge }) => ({ ...edge, from: idOf(name), to: idOf(to) })),
  );
  return { start: idOf(level.StartAt), nodes, edges };
}

function detailOf(state: State, limits: TaskLimits): string | undefined {
  if (state.Type === 'Task') return taskDetail(state, limits);
  if (state.Type === 'Wait') {
    const { Seconds, Timestamp, SecondsPath, TimestampPath } = state;
    return typeof Seconds === 'number' ? `${Seconds} s` : (Timestamp ?? SecondsPath ?? TimestampPath);
  }
  return state.Type === 'Fail' ? state.Error : undefined;
}

/** With the time that it has, where that is known. */
function taskDetail({ Resource, TimeoutSeconds, TimeoutSecondsPath }: TaskState, limits: TaskLimits): string {
  const own = typeof TimeoutSeconds === 'number' ? { seconds: TimeoutSeconds } : undefined;
  const isElsewhere = own === undefined && (TimeoutSeconds ?? TimeoutSecondsPath) !== undefined;
  const limit = own ?? (isElsewhere ? undefined : limitFor(limits, Resource));
  return limit === undefined ? Resource : `${Resource}, ${limitWords(limit)}`;
}

type Leaving = Omit<GraphEdge, 'from'>;

function edgesOf(state: State): readonly Leaving[] {
  const edges: Leaving[] = [];
  if ('Next' in state && state.Next !== undefined) edges.push({ to: state.Next, kind: 'next' });
  if (state.Type === 'Choice') {
    for (const rule of state.Choices)
      edges.push({ to: String(rule.Next), kind: 'choice', label: ruleText(rule) });
    if (state.Default !== undefined) edges.push({ to: state.Default, kind: 'default', label: 'otherwise' });
  }
  if ('Catch' in state) {
    for (const { Next, ErrorEquals } of state.Catch ?? []) {
      edges.push({ to: Next, kind: 'catch', label: shortened(ErrorEquals.join(', ')) });
    }
  }
  return edges;
}

const LONGEST_LABEL = 40;

/** A rule in few words. */
function ruleText(rule: JsonObject): string {
  return shortened(bareRuleText(rule));
}

function shortened(text: string): string {
  return text.length > LONGEST_LABEL ? `${text.slice(0, LONGEST_LABEL - 1)}…` : text;
}

function bareRuleText(rule: JsonObject): string {
  if (typeof rule.Comment === 'string') return rule.Comment;
  if (typeof rule.Condition === 'string') return rule.Condition.replace(/^\{%\s*|\s*%\}$/g, '');
  if (isObject(rule.Not)) return `not ${bareRuleText(rule.Not)}`;
  for (const join of ['And', 'Or'] as const) {
    const joined = rule[join];
    if (Array.isArray(joined)) return joined.map(bareRuleText).join(` ${join.toLowerCase()} `);
  }
  const operator =
    Object.keys(rule).find((key) => !['Variable', 'Next', 'Assign', 'Output'].includes(key)) ?? '';
  return `${String(rule.Variable)} ${operator} ${JSON.stringify(rule[operator])}`;
}
