/** Binds to a directory and compares attributes of one entry. The client is loaded only when a file asks for LDAP. */
import type { Client } from 'ldapts';
import { type Destination, originOf } from './address.ts';
import type { LdapAnswer, LdapInputs, Verify } from './test-file.ts';

export interface LdapRequest {
  readonly destination: Destination;
  readonly inputs: LdapInputs;
  readonly timeoutMs: number;
  readonly verify: Verify;
  readonly authorities?: string;
}

/** Rejects with the client's own error when it cannot connect, bind or read. */
export async function askLdap(request: LdapRequest, signal: AbortSignal): Promise<LdapAnswer['comparisons']> {
  const { Client } = await import('ldapts');
  const client = new Client({
    url: originOf(request.destination),
    timeout: request.timeoutMs,
    connectTimeout: request.timeoutMs,
    strictDN: false,
    ...(request.destination.protocol === 'ldaps' ? { tlsOptions: tlsOptions(request) } : {}),
  });
  try {
    return await abortable(compareAll(client, request.inputs), signal);
  } finally {
    // The answer is there, or the call has failed: how the connection ends says nothing more.
    await client.unbind().catch(() => undefined);
  }
}

function tlsOptions({ verify, authorities }: LdapRequest) {
  return { rejectUnauthorized: verify !== false, ...(authorities === undefined ? {} : { ca: authorities }) };
}

async function compareAll(client: Client, inputs: LdapInputs): Promise<LdapAnswer['comparisons']> {
  await client.bind(inputs.bindDn ?? '', inputs.bindPassword ?? '');
  const comparisons: LdapAnswer['comparisons'][number][] = [];
  for (const [attribute, expected] of inputs.expected) {
    const matched = await matches(client, inputs.dn ?? '', attribute, expected);
    const actual = matched ? [] : await valuesOf(client, inputs.dn ?? '', attribute);
    comparisons.push({ attribute, matched, actual });
  }
  return comparisons;
}

async function matches(client: Client, dn: string, attribute: string, expected: string): Promise<boolean> {
  const { NoSuchAttributeError, NoSuchObjectError } = await import('ldapts');
  try {
    return await client.compare(dn, attribute, expected);
  } catch (thrown) {
    // An entry that is not there, or has no such attribute, does not hold the value: a failed check, no broken one.
    if (thrown instanceof NoSuchAttributeError || thrown instanceof NoSuchObjectError) return false;
    throw thrown;
  }
}

async function valuesOf(client: Client, dn: string, attribute: string): Promise<readonly string[]> {
  const { NoSuchObjectError } = await import('ldapts');
  try {
    const { searchEntries } = await client.search(dn, { scope: 'base', attributes: [attribute] });
    const found = Object.entries(searchEntries[0] ?? {}).find(
      ([name]) => name.toLowerCase() === attribute.toLowerCase(),
    );
    const values = found === undefined ? [] : [found[1]].flat();
    return values.map((value) => value.toString());
  } catch (thrown) {
    if (thrown instanceof NoSuchObjectError) return [];
    throw thrown;
  }
}

function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}
