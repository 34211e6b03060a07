/**
 * Looks at repositories now and then, all branches and tags at once. What came while nobody looked is one push for each
 * ref that stands elsewhere now. A repository that does not answer is asked less and less often.
 */
import { asKilnError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { RefHead, TriggerStore } from '../../domain/ports/triggers.ts';
import type { PipelineSource, PushEvent } from '../../domain/trigger.ts';
import type { Git } from '../checkout/git.ts';
import { type RemoteRefs, remoteRefs } from '../checkout/remote-refs.ts';
import type { TriggerInbox } from './inbox.ts';

const LONGEST_MS = 10 * 60_000;
/** Repositories at once. */
const PLACES = 4;

export interface PollerParts {
  readonly store: Pick<TriggerStore, 'heads' | 'forgetHead'>;
  readonly inbox: Pick<TriggerInbox, 'startFor'>;
  readonly git: Git;
  readonly clock: Clock;
  readonly random: () => number;
}

/** How the last look at a repository went. */
export interface PollState {
  readonly atMs: number;
  readonly failures: number;
  readonly failure?: string;
}

export class Poller {
  readonly #parts: PollerParts;
  readonly #state = new Map<string, PollState & { readonly nextMs: number }>();
  readonly #busy = new Set<string>();

  constructor(parts: PollerParts) {
    this.#parts = parts;
  }

  stateOf(url: string): PollState | undefined {
    return this.#state.get(url);
  }

  /** Begins to look where it is time to; resolves when all that were begun here are done. */
  async round(sources: readonly PipelineSource[], signal: AbortSignal): Promise<void> {
    const polled = sources.filter(
      ({ location, pollEveryMs }) => location.kind === 'repository' && pollEveryMs !== undefined,
    );
    const byUrl = Map.groupBy(polled, ({ location }) => (location.kind === 'repository' ? location.url : ''));
    const now = this.#parts.clock.monotonic();
    const due = [...byUrl].filter(
      ([url]) => !this.#busy.has(url) && (this.#state.get(url)?.nextMs ?? 0) <= now,
    );
    await Promise.all(
      due.slice(0, Math.max(0, PLACES - this.#busy.size)).map(([url, some]) => this.#look(url, some, signal)),
    );
  }

  async #look(url: string, sources: readonly PipelineSource[], signal: AbortSignal): Promise<void> {
    const { git, clock, random } = this.#parts;
    const everyMs = Math.min(...sources.map(({ pollEveryMs = LONGEST_MS }) => pollEveryMs));
    this.#busy.add(url);
    try {
      // Before it looks: what somebody else tells while it does is newer than what it sees.
      const known = await Promise.all(sources.map(({ id }) => this.#parts.store.heads(id)));
      const refs = await remoteRefs(git, url, signal);
      for (const [at, source] of sources.entries()) await this.#compare(source, known[at] ?? [], refs);
      this.#state.set(url, { atMs: clock.now(), failures: 0, nextMs: clock.monotonic() + everyMs });
    } catch (error) {
      if (signal.aborted) return;
      const failures = (this.#state.get(url)?.failures ?? 0) + 1;
      const waitMs = backoffMs(everyMs, failures, random());
      const failure = asKilnError(error).message;
      this.#state.set(url, { atMs: clock.now(), failures, failure, nextMs: clock.monotonic() + waitMs });
    } finally {
      this.#busy.delete(url);
    }
  }

  async #compare({ id }: PipelineSource, noted: readonly RefHead[], { heads }: RemoteRefs): Promise<void> {
    const { store, inbox } = this.#parts;
    const known = new Map(noted.map(({ ref, commit }) => [ref, commit]));
    const there = new Set(heads.map(({ ref }) => ref));
    for (const { ref, commit } of noted) if (!there.has(ref)) await store.forgetHead(id, ref, commit);
    for (const { ref, commit } of heads) {
      const before = known.get(ref);
      if (before === commit) continue;
      const event: PushEvent = { kind: 'push', repository: { source: id }, ref, commit };
      const teller = { actor: 'poll', since: { head: before } };
      await inbox.startFor(before === undefined ? event : { ...event, before }, teller);
    }
  }
}

/** Doubles with each failure, up to ten minutes, or the interval where that is longer; spread by a quarter. Pure. */
function backoffMs(everyMs: number, failures: number, random: number): number {
  const doubled = Math.min(everyMs * 2 ** Math.min(failures, 30), Math.max(LONGEST_MS, everyMs));
  return doubled * (0.75 + random / 2);
}
