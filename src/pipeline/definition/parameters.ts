/** Declared parameters of a pipeline: asked for when it is started, checked, and put into its input. */
import { z } from 'zod';
import { suggest } from '../../component/suggest.ts';
import { type Fault, KilnError } from '../../domain/errors.ts';
import type { Json, JsonObject } from '../asl/json.ts';

const TYPES = ['string', 'number', 'boolean'] as const;
const scalar = z.union([z.string(), z.number(), z.boolean()], 'a text, a number, true or false');

export const parameterSchema = z
  .strictObject({
    name: z.string('a name').regex(/^[A-Za-z_][\w-]*$/, 'a name of letters, digits, _ and -'),
    type: z.enum(TYPES, 'string, number or boolean').default('string'),
    description: z.string('a text').optional(),
    default: scalar.optional(),
    allowed: z.array(scalar, 'a list of values').min(1, 'at least one value').readonly().optional(),
  })
  .superRefine((parameter, context) => {
    const { type, default: byDefault, allowed = [] } = parameter;
    const wrong = [...allowed, ...(byDefault === undefined ? [] : [byDefault])].find(
      (value) => typeof value !== type,
    );
    if (wrong !== undefined) {
      context.addIssue({
        code: 'custom',
        path: ['type'],
        message: `a type that fits ${JSON.stringify(wrong)}`,
      });
    } else if (byDefault !== undefined && allowed.length > 0 && !allowed.includes(byDefault)) {
      context.addIssue({ code: 'custom', path: ['default'], message: `one of ${allowed.join(', ')}` });
    }
  });

export type PipelineParameter = z.infer<typeof parameterSchema>;

/**
 * Values by name, with defaults. Texts are read as the declared type says, so that a command line can give them.
 * Throws KilnError (`input.invalid`) with a fault for each value that is missing, unknown or wrong: its path is the
 * parameter's name.
 */
export function parameterValues(
  parameters: readonly PipelineParameter[],
  given: Readonly<Record<string, Json>>,
): JsonObject {
  refuseParameters(parameters, parameterFaults(parameters, given));
  const values = parameters.flatMap((parameter): [string, Json][] => {
    const read = readParameter(parameter, given[parameter.name]);
    return 'value' in read ? [[parameter.name, read.value]] : [];
  });
  return Object.fromEntries(values);
}

/** Of values that are unknown, missing or wrong, each by its name. */
export function parameterFaults(
  parameters: readonly PipelineParameter[],
  given: Readonly<Record<string, Json>>,
): readonly Fault[] {
  const wrong = parameters.flatMap((parameter): Fault[] => {
    const read = readParameter(parameter, given[parameter.name]);
    return 'fault' in read ? [{ path: parameter.name, ...read.fault }] : [];
  });
  return [...unknownParameters(parameters, Object.keys(given)), ...wrong];
}

/** Throws `input.invalid` with these, where there are any. */
export function refuseParameters(parameters: readonly PipelineParameter[], faults: readonly Fault[]): void {
  if (faults.length === 0) return;
  const names = faults.map(({ path }) => path).join(', ');
  throw new KilnError('input.invalid', `These parameters of the pipeline are not right: ${names}.`, {
    next: `Give ${parameters.map((one) => `${one.name} (${kindOf(one)})`).join(', ') || 'none'}.`,
    faults,
  });
}

function unknownParameters(
  parameters: readonly PipelineParameter[],
  names: readonly string[],
): readonly Fault[] {
  const known = parameters.map(({ name }) => name);
  return names
    .filter((name) => !known.includes(name))
    .map((path) => {
      const didYouMean = suggest(path, known);
      return {
        path,
        message: 'is not a parameter of this pipeline',
        ...(didYouMean !== undefined && { didYouMean }),
      };
    });
}

export type ReadParameter =
  | { readonly value: PipelineParameter['default'] & {} }
  | { readonly fault: Omit<Fault, 'path'> };

/** One value, as it was given or by default. */
export function readParameter(parameter: PipelineParameter, given: Json | undefined): ReadParameter {
  const { type, allowed } = parameter;
  const expected = kindOf(parameter);
  if (given === undefined) {
    return parameter.default === undefined
      ? { fault: { message: 'is missing', expected } }
      : { value: parameter.default };
  }
  const value = typeof given === 'string' ? asType(given, type) : given;
  if (!isScalar(value) || typeof value !== type) {
    return { fault: { message: 'is of another type', found: JSON.stringify(given), expected } };
  }
  if (allowed === undefined || allowed.some((one) => one === value)) return { value };
  return { fault: { message: 'is not allowed', found: JSON.stringify(given), expected } };
}

/** What may be given, in words. */
export function kindOf({ type, allowed }: Pick<PipelineParameter, 'type' | 'allowed'>): string {
  return allowed === undefined ? KIND[type] : `one of ${allowed.join(', ')}`;
}

const KIND = { string: 'a text', number: 'a number', boolean: 'true or false' } as const;

function isScalar(value: Json | undefined): value is z.infer<typeof scalar> {
  return ['string', 'number', 'boolean'].includes(typeof value);
}

function asType(text: string, type: PipelineParameter['type']): Json | undefined {
  if (type === 'string') return text;
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : undefined;
  const number = Number(text);
  return text.trim() === '' || !Number.isFinite(number) ? undefined : number;
}
