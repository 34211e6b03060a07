/** Holds deployments of pipelines back while their environment is paused. */
import { asKilnError } from '../domain/errors.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { EventStore } from '../domain/ports/events.ts';
import type { Pause, PauseStore } from '../domain/ports/pauses.ts';
import { resourceName } from './definition/resources.ts';
import { TaskFailed } from './task.ts';
import type { Waits } from './why.ts';

/** Waited for at most, from when the state was entered: a pause that is forgotten ends no pipeline otherwise. */
export const PAUSE_LIMIT_SECONDS = 30 * 24 * 3_600;
/** Looked again, though nothing was heard. */
const ROUND_MS = 60_000;

export interface PauseGateParts {
  readonly pauses: Pick<PauseStore, 'list'>;
  readonly events: Pick<EventStore, 'revision' | 'waitAfter'>;
  readonly clock: Clock;
}

export class PauseGate {
  readonly #parts: PauseGateParts;

  constructor(parts: PauseGateParts) {
    this.#parts = parts;
  }

  /** Resolves once it is not paused; fails with `Kiln.Paused` after thirty days. */
  async passes(environment: string, sinceMs: number, signal: AbortSignal): Promise<void> {
    const { events, clock } = this.#parts;
    for (;;) {
      signal.throwIfAborted();
      const revision = await events.revision();
      if ((await this.pauseOf(environment)) === undefined) return;
      if (clock.now() - sinceMs > PAUSE_LIMIT_SECONDS * 1_000)
        throw new TaskFailed('Kiln.Paused', `${environment} was paused for more than thirty days.`);
      const limit = AbortSignal.timeout(ROUND_MS);
      await events.waitAfter(revision, AbortSignal.any([signal, limit])).catch((thrown: unknown) => {
        signal.throwIfAborted();
        if (!limit.aborted) throw asKilnError(thrown);
      });
    }
  }

  async pauseOf(environment: string): Promise<Pause | undefined> {
    return (await this.#parts.pauses.list()).find((pause) => pause.environment === environment);
  }
}

/** For `kiln pipeline why`. */
export async function deploymentHeldUpBy(
  gate: Pick<PauseGate, 'pauseOf'>,
  { resource = '', environments: [environment] = [] }: Pick<Waits, 'resource' | 'environments'>,
): Promise<string | undefined> {
  if (environment === undefined || resourceName(resource) !== 'deploy') return undefined;
  const pause = await gate.pauseOf(environment);
  if (pause === undefined) return undefined;
  const why = pause.why === '' ? '' : `: ${pause.why}`;
  return `waits before it deploys: ${environment} was paused by ${pause.by}${why}`;
}
