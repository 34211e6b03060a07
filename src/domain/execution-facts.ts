/** What of an execution's input people look for. Pure. */

export interface ExecutionFacts {
  readonly trigger?: string;
  readonly commit?: string;
  /** In small letters. */
  readonly text: string;
}

const TEXT_LENGTH = 2_000;

export function executionFacts(names: readonly string[], input: unknown): ExecutionFacts {
  const trigger = textIn(memberOf(input, 'trigger'), 'kind');
  const about = memberOf(input, 'commit');
  const commit = textIn(about, 'sha') ?? textIn(about, 'version');
  const shown = ['trigger', 'commit', 'parameters'].map(
    (name) => JSON.stringify(memberOf(input, name)) ?? '',
  );
  return {
    ...(trigger !== undefined && { trigger }),
    ...(commit !== undefined && { commit }),
    text: [...names, ...shown].join(' ').toLowerCase().slice(0, TEXT_LENGTH),
  };
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}

function textIn(value: unknown, name: string): string | undefined {
  const text = memberOf(value, name);
  return typeof text === 'string' && text !== '' ? text : undefined;
}
