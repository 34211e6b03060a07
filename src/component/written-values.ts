/** Scalars as the author wrote them. */
import type { ComponentFile } from './schema.ts';

/** Text of a scalar as it was written, by its path in the file: `1.10` as a value stays `1.10`. */
export type Written = (path: readonly (string | number)[]) => string | undefined;

/** Numbers and booleans among the config values become the text that the author wrote. */
export function withWrittenValues(file: ComponentFile, written: Written): ComponentFile {
  const environments = Object.entries(file.environments ?? {}).map(
    ([name, over]) =>
      [
        name,
        over.config ? { ...over, config: textValues(over.config, ['environments', name]) } : over,
      ] as const,
  );
  function textValues<Config extends NonNullable<ComponentFile['config']>>(
    config: Config,
    path: string[],
  ): Config {
    return { ...config, values: asTexts(config.values ?? {}, [...path, 'config', 'values'], written) };
  }
  return {
    ...file,
    ...(file.config && { config: textValues(file.config, []) }),
    environments: Object.fromEntries(environments),
  };
}

export function asTexts(
  values: Readonly<Record<string, string | number | boolean>>,
  path: readonly string[],
  written: Written,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      key,
      typeof value === 'string' ? value : (written([...path, key]) ?? String(value)),
    ]),
  );
}
