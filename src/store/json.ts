/** The one place where JSON columns are written and read. */
import { KilnError } from '../domain/errors.ts';

declare const json: unique symbol;
/** Canonical JSON text: keys sorted, no spaces; equal values are equal texts. */
export type Json = string & { readonly [json]: true };

export function toJson(value: unknown): Json {
  return JSON.stringify(value, sortKeys) as Json;
}

/** As `toJson`, for what is never compared: keys stay in their order, which states of pipelines show to people. */
export function asJson(value: unknown): Json {
  return JSON.stringify(value) as Json;
}

function sortKeys(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

/**
 * What `toJson` wrote, as the type that was written. The shape is Kiln's own and guarded by the
 * schema version, so it is not validated again; only text that is no JSON at all is refused.
 */
export function fromJson<Value>(text: Json): Value {
  try {
    return JSON.parse(text) as Value;
  } catch (cause) {
    throw new KilnError('store.damaged', 'A row of the store holds text that is not JSON.', {
      cause,
      next: 'Restore the store from a backup.',
    });
  }
}
