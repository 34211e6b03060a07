/** How a command ended, from the code that shells, bubblewrap and container engines give. */
import { constants } from 'node:os';

export interface ExitStatus {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** They give 128 + n for an end by signal n. */
export function exitStatus(code: number): ExitStatus {
  const signal = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0];
  return signal === undefined ? { exitCode: code, signal: null } : { exitCode: null, signal };
}

export function describeExit({ exitCode, signal }: ExitStatus): string {
  if (signal !== null) return `ended by ${signal}`;
  return exitCode === null ? 'ended, nobody saw how' : `exited with code ${exitCode}`;
}
