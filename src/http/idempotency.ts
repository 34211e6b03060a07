/**
 * A write asked for twice under one Idempotency-Key is done once: the second time the first answer is given
 * again. A write that failed changed nothing that repeating it would double, so its key is forgotten.
 */
import { createHash } from 'node:crypto';
import type { Context } from 'hono';
import type { Actor } from '../domain/audit.ts';
import { KilnError } from '../domain/errors.ts';
import { textAnswer } from './answers.ts';
import type { HttpParts } from './parts.ts';

const KEY = /^[\x21-\x7e]{1,200}$/;

export interface Performed<Body> {
  readonly status: number;
  readonly body: Body;
}

export interface Once<Body> {
  readonly answer: Response;
  /** Present when it was done now, and not remembered from before. */
  readonly fresh?: Body;
}

export async function onceByKey<Body>(
  parts: Pick<HttpParts, 'store' | 'clock'>,
  context: Context,
  actor: Actor,
  text: string,
  perform: () => Promise<Performed<Body>>,
  remember: (body: Body) => Body = (body) => body,
): Promise<Once<Body>> {
  const key = context.req.header('idempotency-key');
  if (key === undefined) return done(await perform());
  if (!KEY.test(key)) {
    throw new KilnError('input.invalid', 'The Idempotency-Key is not valid.', {
      next: 'Use 1 to 200 printable characters without spaces, such as a UUID.',
    });
  }
  const { idempotency } = parts.store;
  const url = new URL(context.req.url);
  const requestHash = createHash('sha256')
    .update(`${context.req.method}\n${url.pathname}\n${url.search}\n${text}`)
    .digest('hex');
  const begun = await idempotency.begin(key, actor.name, requestHash, parts.clock.now());
  if (begun === 'in-progress') throw inProgress();
  if (begun !== 'begun') {
    if (begun.requestHash !== requestHash) throw mismatch();
    return { answer: textAnswer(begun.status, begun.body, { 'idempotency-replayed': 'true' }) };
  }
  let performed: Performed<Body>;
  try {
    performed = await perform();
  } catch (thrown) {
    await idempotency.forget(key, actor.name);
    throw thrown;
  }
  const body = JSON.stringify(remember(performed.body));
  await idempotency.finish(
    key,
    actor.name,
    { requestHash, status: performed.status, body },
    parts.clock.now(),
  );
  return done(performed);
}

function done<Body>(performed: Performed<Body>): Once<Body> {
  return { answer: textAnswer(performed.status, JSON.stringify(performed.body)), fresh: performed.body };
}

function inProgress(): KilnError {
  return new KilnError(
    'idempotency.in-progress',
    'The first call with this Idempotency-Key has not been answered yet.',
    {
      next: 'Ask again with the same key in a moment.',
      retryable: true,
    },
  );
}

function mismatch(): KilnError {
  return new KilnError('idempotency.mismatch', 'This Idempotency-Key was used for another call.', {
    next: 'Use a new key for every new call.',
  });
}
