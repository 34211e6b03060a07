import { readFile } from 'node:fs/promises';
import { asKilnError } from '../../domain/errors.ts';
import { answer, type Context, hint } from '../context.ts';
import { serverAddress } from '../environment.ts';

export async function run(context: Context): Promise<number> {
  const server = await serverVersion(context);
  const { version: client }: { version: string } = JSON.parse(await readFile(context.packageFile, 'utf8'));
  const versions = { client, node: process.versions.node, ...server };
  return answer(context, versions, () =>
    [`kiln ${versions.client} (Node ${versions.node})`, server.server && `server ${server.server}`]
      .filter(Boolean)
      .join('\n'),
  );
}

/** The version needs no server: one that does not answer is said, and is no failure. */
async function serverVersion(context: Context): Promise<{ server?: string }> {
  try {
    return { server: (await context.client().call('server.get', {}, { signal: context.signal })).version };
  } catch (thrown) {
    const error = asKilnError(thrown);
    const { url } = serverAddress(context.env, context.stateDirectory);
    // Most likely another user's: it would say as little to anybody without a token of its own.
    const refuses = error.code.startsWith('auth.');
    hint(
      context,
      refuses
        ? `the server at ${url} refuses us (${error.message} ${error.next ?? ''}); is it another user’s?`
        : error.message,
    );
    return {};
  }
}
