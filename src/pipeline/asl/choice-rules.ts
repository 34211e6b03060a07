/** Checks the rules of a Choice state: exactly one comparison or join, and a target at the top only. */
import { OPERATORS } from './choice.ts';
import type { ChoiceState, QueryLanguage } from './definition.ts';
import type { DefinitionFault, DefinitionPath } from './faults.ts';
import { isArray, isObject, type Json, type JsonObject } from './json.ts';
import { isExpression } from './jsonata-expression.ts';

const AROUND = new Set(['Next', 'Comment', 'Assign', 'Output']);
const JOINS = new Set(['And', 'Or', 'Not']);

export function choiceTargets(
  state: ChoiceState,
  path: DefinitionPath,
): readonly { readonly name: string; readonly path: DefinitionPath }[] {
  const ofRules = state.Choices.flatMap(({ Next }, at) =>
    typeof Next === 'string' ? [{ name: Next, path: [...path, 'Choices', at, 'Next'] }] : [],
  );
  return state.Default === undefined
    ? ofRules
    : [...ofRules, { name: state.Default, path: [...path, 'Default'] }];
}

export function choiceFaults(
  state: ChoiceState,
  path: DefinitionPath,
  language: QueryLanguage,
): readonly DefinitionFault[] {
  return state.Choices.flatMap((rule, at) => {
    const rulePath = [...path, 'Choices', at];
    return [
      ...(typeof rule.Next === 'string' ? [] : [missingNext(rulePath)]),
      ...(language === 'JSONata' ? conditionFaults(rule, rulePath) : ruleFaults(rule, rulePath, true)),
    ];
  });
}

function missingNext(path: DefinitionPath): DefinitionFault {
  return {
    path: [...path, 'Next'],
    at: 'key',
    message: '"Next" is missing',
    expected: 'the name of a state',
  };
}

function conditionFaults(rule: JsonObject, path: DefinitionPath): readonly DefinitionFault[] {
  const unknown = Object.keys(rule).filter((key) => key !== 'Condition' && !AROUND.has(key));
  const faults: DefinitionFault[] = unknown.map((key) => ({
    path: [...path, key],
    at: 'key',
    message: `"${key}" is not a field of a rule in JSONata`,
  }));
  const condition = rule.Condition ?? null;
  if (typeof condition === 'boolean' || isExpression(condition)) return faults;
  return [
    ...faults,
    { path: [...path, 'Condition'], at: 'value', message: 'no condition', expected: '{% … %}' },
  ];
}

function ruleFaults(rule: JsonObject, path: DefinitionPath, isTop: boolean): readonly DefinitionFault[] {
  const keys = Object.keys(rule).filter((key) => !(isTop && AROUND.has(key)) && key !== 'Comment');
  const joins = keys.filter((key) => JOINS.has(key));
  const [join] = joins;
  if (join !== undefined) {
    if (keys.length > 1) return [unclear(path)];
    return joinedFaults(rule[join] ?? null, [...path, join], join === 'Not');
  }
  const operators = keys.filter((key) => OPERATORS.has(key));
  const unknown = keys.filter((key) => key !== 'Variable' && !OPERATORS.has(key));
  return [
    ...unknown.map(
      (key): DefinitionFault => ({
        path: [...path, key],
        at: 'key',
        message: `"${key}" is not a comparison`,
      }),
    ),
    ...(operators.length === 1 && typeof rule.Variable === 'string' ? [] : [unclear(path)]),
  ];
}

function joinedFaults(value: Json, path: DefinitionPath, single: boolean): readonly DefinitionFault[] {
  if (single) return isObject(value) ? ruleFaults(value, path, false) : [unclear(path)];
  if (!isArray(value) || value.length === 0) return [unclear(path)];
  return value.flatMap((rule, at) =>
    isObject(rule) ? ruleFaults(rule, [...path, at], false) : [unclear([...path, at])],
  );
}

function unclear(path: DefinitionPath): DefinitionFault {
  return {
    path,
    at: 'value',
    message: 'the rule compares nothing, or too much',
    expected: 'a Variable and one comparison, or one of And, Or, Not',
  };
}
