/** What a load balancer asks: does the process live, and can it do its work. Neither needs a token, neither tells much. */
import { asKilnError } from '../domain/errors.ts';
import { jsonAnswer } from './answers.ts';
import type { HttpParts } from './parts.ts';

const PROBE_LIMIT_MS = 2_000;

interface Readiness {
  readonly part: string;
  readonly ready: boolean;
  readonly reason: string;
}

export function healthAnswer(): Response {
  return jsonAnswer(200, { alive: true }, { 'cache-control': 'no-store' });
}

export async function readinessAnswer(parts: Pick<HttpParts, 'store' | 'router'>): Promise<Response> {
  const checks = await Promise.all([
    probe('store', async (signal) => {
      await parts.store.ping(signal);
      return { ready: true, reason: 'writable' };
    }),
    probe('router', async (signal) => {
      const { reachable } = await parts.router.status(signal);
      return { ready: reachable, reason: reachable ? 'reachable' : 'the router does not answer' };
    }),
  ]);
  const ready = checks.every((check) => check.ready);
  return jsonAnswer(ready ? 200 : 503, { ready, checks }, { 'cache-control': 'no-store' });
}

async function probe(
  part: string,
  ask: (signal: AbortSignal) => Promise<{ ready: boolean; reason: string }>,
): Promise<Readiness> {
  try {
    return { part, ...(await ask(AbortSignal.timeout(PROBE_LIMIT_MS))) };
  } catch (thrown) {
    return { part, ready: false, reason: asKilnError(thrown).code };
  }
}
