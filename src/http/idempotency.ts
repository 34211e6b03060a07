/**
 * A write asked for twice under one Idempotency-Key is done once: the second time the first answer is given again.
 *
 * A call may end without an answer, because its server died or lost the store. Whoever asks again then holds the
 * key and learns what was made under it: that is answered (`recover`) and not made again. Where nothing was made,
 * or what was made ended with its server, as a bake does, the call is carried out anew.
 */
import { createHash } from 'node:crypto';
import type { Context } from 'hono';
import type { Actor } from '../domain/audit.ts';
import type { CallAttempt } from '../domain/change.ts';
import { asKilnError, KilnError } from '../domain/errors.ts';
import { textAnswer } from './answers.ts';
import type { HttpParts } from './parts.ts';

const KEY = /^[\x21-\x7e]{1,200}$/;
/** A third of the time after which the store gives the key away. */
const RENEW_MS = 5_000;
const ATTEMPT_BYTES = 16;
const REPLAYED = { 'idempotency-replayed': 'true' };

type Parts = Pick<HttpParts, 'store' | 'clock' | 'holder' | 'log' | 'randomBytes'>;

export interface Performed<Body> {
  readonly status: number;
  readonly body: Body;
}

export interface Once<Body> {
  readonly answer: Response;
  /** Present when it was done now, and not remembered from before. */
  readonly fresh?: Body;
}

export interface KeyedWork<Body> {
  /** The attempt, when the call has a key, must come with each change that makes something. */
  readonly perform: (attempt: CallAttempt | undefined) => Promise<Performed<Body>>;
  /** The answer to a call that made this and ended before it was answered; undefined: carry it out anew. */
  readonly recover?: (made: string) => Promise<Performed<Body> | undefined>;
  /** What is kept: without what must not be stored. */
  readonly remember?: (body: Body) => Body;
}

export async function onceByKey<Body>(
  parts: Parts,
  context: Context,
  actor: Actor,
  text: string,
  work: KeyedWork<Body>,
): Promise<Once<Body>> {
  const key = context.req.header('idempotency-key');
  if (key === undefined) return fresh(await work.perform(undefined));
  assertKey(key);
  const { idempotency } = parts.store;
  const attempt = `${parts.holder}:${Buffer.from(parts.randomBytes(ATTEMPT_BYTES)).toString('hex')}`;
  const call = { key, actor: actor.name, attempt, requestHash: hashOf(context, text) };
  const state = await idempotency.begin(call, parts.clock.now());
  if (state.kind === 'in-progress') throw inProgress();
  if (state.kind === 'mismatch') throw mismatch();
  if (state.kind === 'answered') {
    return { answer: textAnswer(state.answer.status, state.answer.body, REPLAYED) };
  }
  return whileHeld(parts, call, async () => {
    const recovered = state.made === undefined ? undefined : await work.recover?.(state.made);
    const performed = recovered ?? (await work.perform({ key, attempt }));
    const body = JSON.stringify(work.remember?.(performed.body) ?? performed.body);
    await idempotency.finish(call, { status: performed.status, body }, parts.clock.now());
    return recovered === undefined
      ? fresh(performed)
      : { answer: textAnswer(recovered.status, body, REPLAYED) };
  });
}

/** Renews the key for as long as the work goes on, and frees it when that fails. */
async function whileHeld<Result>(
  parts: Parts,
  call: CallAttempt & { readonly actor: string },
  work: () => Promise<Result>,
): Promise<Result> {
  const { store, clock, log } = parts;
  // The key is given away after some seconds whatever happens here, so nothing depends on either of them.
  const complain = (thrown: unknown): void =>
    log.warn({ failure: asKilnError(thrown).message }, 'an Idempotency-Key could not be kept');
  const renewal = setInterval(() => {
    store.idempotency.renew(call, clock.now()).catch(complain);
  }, RENEW_MS);
  try {
    return await work();
  } catch (thrown) {
    await store.idempotency.forget(call).catch(complain);
    throw thrown;
  } finally {
    clearInterval(renewal);
  }
}

function fresh<Body>(performed: Performed<Body>): Once<Body> {
  return { answer: textAnswer(performed.status, JSON.stringify(performed.body)), fresh: performed.body };
}

function hashOf(context: Context, text: string): string {
  const url = new URL(context.req.url);
  const whole = `${context.req.method}\n${url.pathname}\n${url.search}\n${text}`;
  return createHash('sha256').update(whole).digest('hex');
}

function assertKey(key: string): void {
  if (KEY.test(key)) return;
  throw new KilnError('input.invalid', 'The Idempotency-Key is not valid.', {
    next: 'Use 1 to 200 printable characters without spaces, such as a UUID.',
  });
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
