import { z } from 'zod';
import { componentFile } from './schema.ts';

/** The JSON Schema of `kiln.yaml` for editors; `schema/kiln.schema.json` is this, written out. */
export function componentJsonSchema(): Readonly<Record<string, unknown>> {
  const { $schema, ...rest } = z.toJSONSchema(componentFile, { io: 'input', target: 'draft-7' });
  return {
    $schema,
    title: 'kiln.yaml',
    description: 'A component of Kiln: how it is made, run, configured, deployed and routed.',
    ...rest,
    // A home for YAML anchors and other notes of the author.
    patternProperties: { '^x-': {} },
  };
}

export function componentJsonSchemaText(): string {
  return `${JSON.stringify(componentJsonSchema(), null, 2)}\n`;
}
