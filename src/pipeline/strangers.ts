/** Executions that run what a stranger has written, such as a pull request from a fork. */
import { isObject } from './asl/json.ts';

export const NO_RIGHTS = { role: 'viewer', environments: [] } as const;

/** By its input, which holds whatever becomes of the execution: a retry by somebody else too. */
export function isUntrusted(input: unknown): boolean {
  return isObject(input) && isObject(input.trigger) && input.trigger.trusted === false;
}
