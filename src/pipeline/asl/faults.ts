/** What is wrong with a definition, and where in it. */

/** Keys and numbers from the top of the definition. */
export type DefinitionPath = readonly (string | number)[];

export interface DefinitionFault {
  readonly path: DefinitionPath;
  /** Whether to point at the value or at its key. */
  readonly at: 'key' | 'value';
  readonly message: string;
  readonly found?: string;
  readonly expected?: string;
  readonly didYouMean?: string;
}

export function pathText(path: DefinitionPath): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    return text === '' ? step : `${text}.${step}`;
  }, '');
}
