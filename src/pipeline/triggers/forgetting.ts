/** What triggers leave behind: events that were acted on, and mirrors of repositories that nobody asks for any more. */
import type { TriggerStore } from '../../domain/ports/triggers.ts';
import type { PipelineSource } from '../../domain/trigger.ts';
import type { Mirrors } from '../checkout/mirrors.ts';

/** Of what is settled: what waits is never forgotten. An event that is told again later is a new one. How many went. */
export async function forgetEvents(
  store: Pick<TriggerStore, 'prune'>,
  takenBeforeMs: number,
  signal: AbortSignal,
): Promise<number> {
  let forgotten = 0;
  for (let some = 1; some > 0 && !signal.aborted; ) {
    some = await store.prune(takenBeforeMs);
    forgotten += some;
  }
  return forgotten;
}

/** But those of sources that are registered. How many were removed. */
export async function forgetMirrors(
  mirrors: Pick<Mirrors, 'sweep'>,
  store: { sources(): Promise<readonly Pick<PipelineSource, 'location'>[]> },
  usedFromMs: number,
  signal: AbortSignal,
): Promise<number> {
  const registered = (await store.sources()).flatMap(({ location }) =>
    location.kind === 'repository' ? [location.url] : [],
  );
  return mirrors.sweep(registered, usedFromMs, signal);
}
