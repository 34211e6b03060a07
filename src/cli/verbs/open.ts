import { answer, type Context, hint } from '../context.ts';
import { serverAddress } from '../environment.ts';

/** The address opens the page once, within a minute, with the rights of whoever asked for it. */
export async function run(context: Context): Promise<number> {
  const { code, expiresAtMs } = await context.client().call('page.code', {}, { signal: context.signal });
  const server = serverAddress(context.env, context.stateDirectory);
  const url = `${server.url}/#code=${code}`;
  hint(context, 'good once, within a minute; the page stays signed in for 12 hours');
  return answer(context, { url, expiresAtMs }, () => url);
}
