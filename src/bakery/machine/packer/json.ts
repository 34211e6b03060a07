export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** Text that Packer takes as it is: it would read `{{ }}` as a template of its own. */
export function literal(text: string): string {
  return text.replaceAll('{{', '{{`{{`}}');
}
