/** The few calls of EC2's Query API that Kiln makes itself (version 2016-11-15); all else is done by Packer. */

import { type AmazonAccess, amazonCredentials } from '../../../amazon/credentials.ts';
import { signedHeaders } from '../../../amazon/signature.ts';
import { KilnError } from '../../../domain/errors.ts';
import type { Clock } from '../../../domain/ports/clock.ts';

const VERSION = '2016-11-15';
const ANSWER_LIMIT_MS = 30_000;

export interface Ec2Parts {
  readonly access: AmazonAccess;
  /** Where it answers, when not where it always does. */
  readonly endpoint: string | undefined;
  readonly clock: Clock;
  readonly fetch: typeof fetch;
}

/** Lists are numbered from 1, as the API wants them: `{ ImageId: ['ami-1'] }` is `ImageId.1=ami-1`. */
export type Ec2Arguments = Readonly<Record<string, string | readonly string[]>>;

export class Ec2 {
  readonly #parts: Ec2Parts;

  constructor(parts: Ec2Parts) {
    this.#parts = parts;
  }

  /**
   * The answer's XML. Amazon's refusal fails with `target.rejected` and its own code in `details.amazon`; nobody there
   * with `target.unavailable`.
   */
  async call(region: string, action: string, args: Ec2Arguments, signal: AbortSignal): Promise<string> {
    const { access, endpoint, clock, fetch } = this.#parts;
    if (!/^[a-z]{2}(-[a-z]+)+-\d$/.test(region))
      throw new KilnError('input.invalid', `"${region}" is no region of Amazon's.`);
    const url = new URL(endpoint ?? `https://ec2.${region}.amazonaws.com`);
    const body = new URLSearchParams({ Action: action, Version: VERSION, ...flattened(args) }).toString();
    const headers = signedHeaders(
      { url, body, region, service: 'ec2', atMs: clock.now() },
      await amazonCredentials(access),
    );
    const limit = AbortSignal.timeout(ANSWER_LIMIT_MS);
    const asked = { method: 'POST', headers, body, signal: AbortSignal.any([signal, limit]) };
    let answer: Response;
    let xml: string;
    try {
      answer = await fetch(url, asked);
      xml = await answer.text();
    } catch (cause) {
      signal.throwIfAborted();
      throw new KilnError('target.unavailable', `Amazon's EC2 does not answer at ${url.host}.`, {
        cause,
        next: 'See whether this machine reaches it.',
        retryable: true,
      });
    }
    if (answer.ok) return xml;
    const [code = `HTTP ${answer.status}`] = valuesIn(xml, 'Code');
    const [message = 'it does not say why'] = valuesIn(xml, 'Message');
    throw new KilnError('target.rejected', `Amazon refused ${action} in ${region}: ${code}, ${message}`, {
      retryable: answer.status >= 500,
      details: { amazon: code, status: answer.status },
    });
  }
}

/** True for Amazon's refusal with a code like this. */
export function isAmazonRefusal(error: unknown, code: RegExp): boolean {
  return (
    error instanceof KilnError && error.code === 'target.rejected' && code.test(String(error.details.amazon))
  );
}

/** Of all elements of this name that hold text alone. */
export function valuesIn(xml: string, name: string): readonly string[] {
  return [...xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map(([, value = '']) => value);
}

function flattened(args: Ec2Arguments): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(args)) {
    if (typeof value === 'string') flat[name] = value;
    else for (const [at, one] of value.entries()) flat[`${name}.${at + 1}`] = one;
  }
  return flat;
}
