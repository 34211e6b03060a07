/**
 * Smolder validates with Python's validictory, a dialect of JSON Schema draft 3: `type: any`, `required: false` in a
 * property, and every listed property is required unless it says otherwise. A schema that names its dialect with
 * `$schema` is left as it is; in any other, an object follows Smolder's rule unless it has a `required` list.
 */
export type JsonSchema = boolean | Readonly<Record<string, unknown>>;

export function standardSchema(schema: unknown): JsonSchema {
  if (typeof schema === 'boolean') return schema;
  if (!isMapping(schema)) return {};
  return '$schema' in schema ? schema : convertMapping(schema);
}

/** Keywords that hold one schema, a list of schemas, or schemas by name. */
const HOLDS_SCHEMA = [
  'items',
  'additionalProperties',
  'additionalItems',
  'not',
  'contains',
  'if',
  'then',
  'else',
];
const HOLDS_LIST = ['allOf', 'anyOf', 'oneOf', 'items'];
const HOLDS_NAMED = ['properties', 'patternProperties', 'definitions', '$defs'];

function convert(schema: unknown): unknown {
  return isMapping(schema) ? convertMapping(schema) : schema;
}

function convertMapping(schema: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const out: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(schema)) {
    if (HOLDS_NAMED.includes(key) && isMapping(value)) out[key] = mapValues(value, convert);
    else if (HOLDS_LIST.includes(key) && Array.isArray(value)) out[key] = value.map(convert);
    else if (HOLDS_SCHEMA.includes(key)) out[key] = convert(value);
    else out[key] = value;
  }
  if (typeof out.required === 'boolean') delete out.required;
  if (out.type === 'any') delete out.type;
  if (!Array.isArray(schema.required) && isMapping(schema.properties)) {
    const required = Object.entries(schema.properties).flatMap(([name, property]) =>
      isMapping(property) && property.required === false ? [] : [name],
    );
    if (required.length > 0) out.required = required;
  }
  return out;
}

function mapValues(
  mapping: Readonly<Record<string, unknown>>,
  change: (value: unknown) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(mapping).map(([key, value]) => [key, change(value)]));
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
