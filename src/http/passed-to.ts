/** A call that one server passes on to another says so in a header. */
import { KilnError } from '../domain/errors.ts';

/** Names the server that is meant: another may have its address by now. */
export const PASSED_TO = 'kiln-passed-to';

/** Whether this server is asked by another. Fails where yet another is meant. */
export function isPassedTo(own: string, named: string | undefined): boolean {
  if (named === undefined || named === own) return named !== undefined;
  throw new KilnError('server.gone', `The server ${named.slice(0, 100)} is not at this address any more.`, {
    next: 'Ask again in a moment, when it has said where it is.',
  });
}
