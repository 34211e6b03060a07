/**
 * What a pipeline asks for before it is started. At a terminal whatever is missing or wrong is asked for; elsewhere it
 * is told at once, with the flags that give it. What is right is decided by `pipeline/definition/parameters.ts` alone.
 */
import type { Answer, Call } from '../api/contract.ts';
import { type Fault, KilnError } from '../domain/errors.ts';
import { type Context, isSet, textFlag } from './context.ts';
import type { Questions } from './questions.ts';

export type Parameter = Answer<'pipelines.parameters'>['items'][number];
type Scalar = string | number | boolean;
type Given = Readonly<Record<string, Scalar>>;
type Rules = typeof import('../pipeline/definition/parameters.ts');

const YES_OR_NO = new Map<string, string>([
  ['y', 'true'],
  ['yes', 'true'],
  ['n', 'false'],
  ['no', 'false'],
]);

/** `NAME=VALUE,NAME=VALUE`; a comma that no NAME= follows belongs to the value. */
export function parametersOf(text: string | undefined): Readonly<Record<string, string>> {
  if (text === undefined) return {};
  return Object.fromEntries(
    text.split(/,(?=[A-Za-z_][\w-]*=)/).map((pair) => {
      const [, name, value] = /^([^=,]+)=(.*)$/s.exec(pair) ?? [];
      if (name !== undefined && value !== undefined) return [name, value];
      throw new KilnError('input.invalid', `"${pair}" is not a parameter.`, {
        next: 'Write NAME=VALUE,NAME=VALUE.',
      });
    }),
  );
}

/** What `--parameters` says, and what is asked for beside it. Nothing is started before it resolves. */
export async function askParameters(
  context: Context,
  place: Call<'pipelines.parameters'>['query'],
): Promise<Given> {
  const given = parametersOf(textFlag(context.flags, 'parameters'));
  const { signal } = context;
  const { component, items } = await context
    .client()
    .call('pipelines.parameters', { query: place }, { signal });
  const rules = await import('../pipeline/definition/parameters.ts');
  const faults = rules.parameterFaults(items, given);
  const isUnknown = faults.some(({ path }) => items.every(({ name }) => name !== path));
  const asks = isSet(context.flags, 'ask')
    ? items
    : items.filter(({ name }) => faults.some(({ path }) => path === name));
  if (asks.length === 0 && !isUnknown) return given;
  const open = context.questions;
  if (isUnknown || open === undefined) throw refused(component, items, given, faults);
  context.onInterrupt(() => 'interrupted: nothing was started');
  const questions = await open();
  try {
    questions.say(`The pipeline of ${component} asks:`);
    const answered: [string, Scalar][] = [];
    for (const parameter of asks) {
      answered.push([
        parameter.name,
        await askOne(context, questions, rules, parameter, given[parameter.name]),
      ]);
    }
    context.onInterrupt(() => 'interrupted');
    return { ...given, ...Object.fromEntries(answered) };
  } finally {
    questions.close();
  }
}

/** Again and again until it is right, each time with the reason. What was given and is right is what Enter takes. */
async function askOne(
  { terminal: { colors } }: Context,
  questions: Questions,
  rules: Rules,
  declared: Parameter,
  given: Scalar | undefined,
): Promise<Scalar> {
  const { name, description } = declared;
  const about = description === undefined ? '' : `  ${colors.dim(description)}`;
  questions.say(`${colors.cyan('?')} ${colors.bold(name)}${about}`);
  const early = given === undefined ? undefined : rules.readParameter(declared, given);
  const parameter =
    early !== undefined && 'value' in early ? { ...declared, default: early.value } : declared;
  const complain = (fault: Omit<Fault, 'path'>): void =>
    questions.say(`  ${colors.yellow(faultText(fault))}`);
  if (early !== undefined && 'fault' in early) complain(early.fault);
  const words = wordsOf(parameter);
  const isListed = parameter.allowed !== undefined;
  if (isListed) questions.say(words.map((word, at) => `    ${colors.dim(`${at + 1})`)} ${word}`).join('\n'));
  const byDefault = parameter.default === undefined ? '' : ` [${parameter.default}]`;
  const kind = isListed ? 'which' : parameter.type === 'boolean' ? 'yes or no' : rules.kindOf(parameter);
  for (;;) {
    const typed = await questions.ask(`  ${colors.dim(`${kind}${byDefault}`)} › `, words);
    const read = rules.readParameter(parameter, meantBy(typed, parameter, words));
    if ('value' in read) return read.value;
    complain(read.fault);
  }
}

function wordsOf({ type, allowed }: Parameter): readonly string[] {
  if (allowed !== undefined) return allowed.map(String);
  return type === 'boolean' ? ['yes', 'no'] : [];
}

/** Undefined: nothing was typed, and the default is meant. A number stands for a place in the list unless it is a value. */
function meantBy(typed: string, { type }: Parameter, words: readonly string[]): string | undefined {
  if (typed === '') return undefined;
  if (words.includes(typed) && type !== 'boolean') return typed;
  if (type === 'boolean') return YES_OR_NO.get(typed.toLowerCase()) ?? typed.toLowerCase();
  return (/^\d+$/.test(typed) ? words[Number(typed) - 1] : undefined) ?? typed;
}

function faultText({ message, found, expected }: Omit<Fault, 'path'>): string {
  const what = found === undefined ? `it ${message}` : `${found} ${message}`;
  return expected === undefined ? what : `${what}: give ${expected}`;
}

function refused(
  component: string,
  items: readonly Parameter[],
  given: Given,
  faults: readonly Fault[],
): KilnError {
  const names = faults.map(({ path }) => path);
  const isAskedFor = names.length > 0;
  const text = isAskedFor
    ? `The pipeline of ${component} is not started: ${names.join(', ')} ${names.length === 1 ? 'is' : 'are'} missing or wrong.`
    : 'There is nobody to ask: this is no terminal.';
  const next = isAskedFor
    ? `Give ${flagsFor(items, given, names)}`
    : 'Leave --ask out, or give --parameters.';
  return new KilnError('input.invalid', text, { next, faults });
}

/** All of them in one option: those that are right as they were given, the others as what may stand there. */
function flagsFor(items: readonly Parameter[], given: Given, wrong: readonly string[]): string {
  const pairs = items.flatMap((parameter) => {
    const { name } = parameter;
    if (wrong.includes(name)) return [`${name}=${placeholder(parameter)}`];
    return given[name] === undefined ? [] : [`${name}=${given[name]}`];
  });
  if (pairs.length === 0) return 'no parameters: it has none.';
  return `--parameters '${pairs.join(',').replaceAll("'", `'\\''`)}'`;
}

function placeholder({ type, allowed }: Parameter): string {
  if (allowed !== undefined) return allowed.join('|');
  return { string: 'TEXT', number: 'NUMBER', boolean: 'true|false' }[type];
}
