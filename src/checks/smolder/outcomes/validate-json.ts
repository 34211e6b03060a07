import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Field } from '../source.ts';
import { failed, type Mask, type Outcome, passed } from '../test-file.ts';
import { parseJson } from './json-contains.ts';
import { pythonText } from './python-text.ts';
import { standardSchema } from './smolder-schema.ts';

const MAX_SHOWN = 20;

/** `{schema: …}`: the whole body must fit the JSON Schema. Every violation is a line. */
export function readValidateJson(field: Field): Outcome {
  const name = field.key;
  const schema = field.entries()?.find((entry) => entry.key === 'schema');
  for (const entry of field.entries() ?? []) {
    if (entry.key !== 'schema') entry.unknownKey('key of validate_json', ['schema']);
  }
  if (schema === undefined && field.isMapping) field.fault('"validate_json" needs a "schema".');
  const validate = schema === undefined ? undefined : compile(schema);
  return {
    name,
    check(answer) {
      if (answer.kind !== 'http' || validate === undefined) return [];
      const body = parseJson(answer);
      if (body === undefined) return [failed(name, 'The body is not JSON')];
      if (validate(body.value)) return [passed(name, 'Json response matches the schema provided')];
      const errors = (validate.errors ?? []).slice(0, MAX_SHOWN);
      return errors.map((error) =>
        failed(name, `Json response fails to match the schema provided ${explain(error, answer.mask)}`),
      );
    },
  };
}

function compile(schema: Field): ValidateFunction | undefined {
  const { value } = schema;
  if (typeof value !== 'boolean' && !schema.isMapping)
    return schema.fault('"schema" is a JSON Schema, a mapping.');
  // Formats are not asserted, as JSON Schema allows; unknown keywords are, so that a typing error is not a pass.
  const options = {
    allErrors: true,
    verbose: true,
    strict: false,
    validateFormats: false,
    logger: false,
  } as const;
  const dialect =
    typeof value === 'object' && value !== null && '$schema' in value ? String(value.$schema) : '';
  const ajv =
    dialect.includes('2020-12') || dialect.includes('2019-09') ? new Ajv2020(options) : new Ajv(options);
  try {
    const standard = standardSchema(value);
    if (typeof standard === 'boolean') return ajv.compile(standard);
    const { $schema: _dialect, ...rest } = standard;
    return ajv.compile(rest);
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    return schema.fault(`"schema" is not a JSON Schema: ${why}.`);
  }
}

function explain(error: ErrorObject, mask: Mask): string {
  const field = error.instancePath.split('/').at(-1) || '_data';
  if (error.keyword === 'type') {
    const type: unknown = error.params.type;
    return `Value ${pythonText(error.data, mask)} for field '${field}' is not of type ${type}`;
  }
  if (error.keyword === 'required') {
    const missing: unknown = error.params.missingProperty;
    return `Required field '${missing}' is missing`;
  }
  return `Value ${pythonText(error.data, mask)} for field '${field}' ${error.message ?? 'is not valid'}`;
}
