/** Failures as the command line shows them: what happened, the code, every fault in its place, what to do. */
import { readFileSync } from 'node:fs';
import { problemOf } from '../api/failures.ts';
import type { Fault, KilnError } from '../domain/errors.ts';
import type { Terminal } from './terminal.ts';

export async function showFailure(error: KilnError, terminal: Terminal, json: boolean): Promise<void> {
  if (json) return terminal.err(JSON.stringify({ error: problemOf(error) }));
  const { colors } = terminal;
  terminal.err(`${colors.red('✗')} ${error.message} ${colors.dim(`[${error.code}]`)}`);
  if (error.faults.length > 0) terminal.err(indented(await frames(error.faults)));
  for (const [key, value] of Object.entries(error.details))
    if (isWorthShowing(key, value, error)) terminal.err(`  ${colors.dim(`${key}:`)} ${value}`);
  if (error.code === 'internal' && error.cause instanceof Error)
    terminal.err(colors.dim(String(error.cause.stack)));
  if (error.next !== undefined) terminal.err(`  ${colors.bold('→')} ${error.next}`);
}

/** Code frames, where the files that the faults stand in can be read from here. */
async function frames(faults: readonly Fault[]): Promise<string> {
  const { formatFaults } = await import('../component/format-faults.ts');
  const files = Map.groupBy(faults, (fault) => fault.location?.file);
  return [...files]
    .map(([file, group]) => formatFaults(group, file === undefined ? undefined : sourceOf(file)))
    .join('\n');
}

function sourceOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined; // on the server's machine, or gone: the place is named without its line
  }
}

function isWorthShowing(key: string, value: unknown, error: KilnError): boolean {
  return value !== null && key !== 'status' && !error.message.includes(String(value));
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}
