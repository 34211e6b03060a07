/** Checks every path, intrinsic call and JSONata expression of a state for its syntax. */
import type { QueryLanguage } from './definition.ts';
import type { DefinitionFault, DefinitionPath } from './faults.ts';
import { intrinsicFunctions } from './intrinsic-functions.ts';
import { type Call, IntrinsicSyntaxError, parseIntrinsic } from './intrinsic-parse.ts';
import { isArray, isObject, type Json } from './json.ts';
import { isExpression, syntaxFault } from './jsonata-expression.ts';
import { isDefinite, pathOf } from './jsonpath.ts';
import { PathSyntaxError } from './jsonpath-parse.ts';
import type { State } from './schema.ts';

/** Fields whose text is a path; others are templates, or plain. */
const PATH_FIELD =
  /^(InputPath|OutputPath|ResultPath|Variable|.*SecondsPath|TimestampPath|ItemsPath|Max\w+Path|ToleratedFailure\w+Path|\w+(Equals|LessThan|GreaterThan)Path)$/;
/** Of these the text may also be an intrinsic call. */
const CALL_FIELD = /^(ErrorPath|CausePath)$/;
/** Inside these only keys that end in `.$` are evaluated, whatever the others are called. */
const TEMPLATES = new Set([
  'Parameters',
  'ResultSelector',
  'ItemSelector',
  'Assign',
  'BatchInput',
  'Credentials',
]);
/** Inside these nothing is evaluated, or it is checked on its own. */
const NOT_EVALUATED = new Set(['Result', 'Comment', 'Branches', 'ItemProcessor', 'Iterator', 'Resource']);
const RESERVED = new Set(['states']);

export async function expressionFaults(
  state: State,
  path: DefinitionPath,
  language: QueryLanguage,
): Promise<readonly DefinitionFault[]> {
  const faults: DefinitionFault[] = [];
  for (const [key, value] of Object.entries(state)) {
    if (NOT_EVALUATED.has(key) || value === undefined) continue;
    const inside: Json = value;
    if (language === 'JSONata') faults.push(...(await queryFaults(inside, [...path, key])));
    else faults.push(...fieldFaults(key, inside, [...path, key]));
    if (key === 'Assign' && isObject(inside)) faults.push(...nameFaults(inside, [...path, key]));
  }
  return faults;
}

async function queryFaults(value: Json, path: DefinitionPath): Promise<readonly DefinitionFault[]> {
  if (isExpression(value)) {
    const fault = await syntaxFault(value);
    return fault === undefined ? [] : [{ path, at: 'value', message: `not JSONata: ${fault}`, found: value }];
  }
  const faults: DefinitionFault[] = [];
  const inner = isArray(value) ? [...value.entries()] : isObject(value) ? Object.entries(value) : [];
  for (const [key, item] of inner) faults.push(...(await queryFaults(item, [...path, key])));
  return faults;
}

function fieldFaults(
  key: string,
  value: Json,
  path: DefinitionPath,
  inTemplate = false,
): readonly DefinitionFault[] {
  if (key.endsWith('.$'))
    return typeof value === 'string' ? textFaults(value, path) : [nothingToEvaluate(path)];
  if (typeof value === 'string') {
    if (inTemplate) return [];
    if (CALL_FIELD.test(key)) return textFaults(value, path);
    return PATH_FIELD.test(key) ? pathFaults(value, path, key === 'ResultPath') : [];
  }
  const within = inTemplate || TEMPLATES.has(key);
  if (isArray(value)) return value.flatMap((item, at) => fieldFaults('', item, [...path, at], within));
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([inner, item]) => fieldFaults(inner, item, [...path, inner], within));
}

function nothingToEvaluate(path: DefinitionPath): DefinitionFault {
  return { path, at: 'value', message: 'nothing to evaluate', expected: 'a path ($…) or a call (States.…)' };
}

function textFaults(text: string, path: DefinitionPath): readonly DefinitionFault[] {
  if (text.startsWith('$')) return pathFaults(text, path, false);
  try {
    return callFaults(parseIntrinsic(text), path);
  } catch (error) {
    if (!(error instanceof IntrinsicSyntaxError)) throw error;
    return [
      {
        path,
        at: 'value',
        message: error.message,
        found: text,
        expected: 'a path ($…) or a call (States.…)',
      },
    ];
  }
}

function callFaults(call: Call, path: DefinitionPath): readonly DefinitionFault[] {
  const own: DefinitionFault[] = intrinsicFunctions.has(call.name)
    ? []
    : [{ path, at: 'value', message: `there is no function ${call.name}`, found: call.text }];
  return [
    ...own,
    ...call.args.flatMap((argument) => {
      if (argument.kind === 'call') return callFaults(argument.call, path);
      return argument.kind === 'path' ? pathFaults(argument.path, path, false) : [];
    }),
  ];
}

function pathFaults(text: string, path: DefinitionPath, isReference: boolean): readonly DefinitionFault[] {
  try {
    const parsed = pathOf(text);
    if (!isReference || (parsed.root.kind === 'input' && isDefinite(parsed.steps))) return [];
    return [
      { path, at: 'value', message: 'not a place in the input', found: text, expected: '$.a.b, or null' },
    ];
  } catch (error) {
    if (!(error instanceof PathSyntaxError)) throw error;
    return [
      { path, at: 'value', message: error.message, found: text, expected: 'a path, such as $.commit.id' },
    ];
  }
}

function nameFaults(
  assign: Readonly<Record<string, Json>>,
  path: DefinitionPath,
): readonly DefinitionFault[] {
  return Object.keys(assign).flatMap((key): DefinitionFault[] => {
    const name = key.endsWith('.$') ? key.slice(0, -2) : key;
    if (/^[\p{ID_Start}_][\p{ID_Continue}]*$/u.test(name) && !RESERVED.has(name) && name.length <= 80)
      return [];
    return [{ path: [...path, key], at: 'key', message: `"${name}" cannot be the name of a variable` }];
  });
}
