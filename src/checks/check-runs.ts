/** Checks asked for over the API: of an image by itself, or of what serves in an environment. */
import { asKilnError, KilnError } from '../domain/errors.ts';
import { type ComponentName, type EnvironmentName, type ImageId, serviceKey } from '../domain/ids.ts';
import type { CheckResult, Image } from '../domain/image.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { Store } from '../domain/ports/store.ts';
import type { Release } from '../domain/release.ts';

export type CheckSubject =
  | { readonly image: Image }
  | { readonly component: ComponentName; readonly environment: EnvironmentName };

/** `failed`: checks ran and some did not pass; `error`: they could not be run. */
export interface CheckRun {
  readonly id: string;
  readonly state: 'running' | 'passed' | 'failed' | 'error';
  readonly image?: ImageId;
  readonly component: ComponentName;
  readonly environment?: EnvironmentName;
  readonly results: readonly CheckResult[];
  readonly failure?: KilnError;
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
}

export interface CheckRunsParts {
  readonly store: Pick<Store, 'images' | 'services' | 'releases'>;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly checkImage: (image: Image, signal: AbortSignal) => Promise<readonly CheckResult[]>;
  readonly checkRelease: (release: Release, signal: AbortSignal) => Promise<readonly CheckResult[]>;
}

/** Runs that have ended are kept for a while, for those that ask late. */
const RUNS_KEPT = 200;
const LIMIT_MS = 15 * 60_000;

export class CheckRuns {
  private readonly parts: CheckRunsParts;
  private readonly runs = new Map<string, CheckRun>();
  private readonly ends = new Map<string, Promise<void>>();
  /** Checks of one component take turns: their groups would otherwise share a fence. */
  private readonly turns = new Map<string, Promise<void>>();
  private readonly closing = new AbortController();

  constructor(parts: CheckRunsParts) {
    this.parts = parts;
  }

  async start(request: { readonly what: CheckSubject; readonly actor: string }): Promise<CheckRun> {
    const { what, actor } = request;
    const run = this.begin(what);
    const before = this.turns.get(run.component) ?? Promise.resolve();
    const end = before.then(() => this.carryOut(run, what, actor));
    this.turns.set(run.component, end);
    this.ends.set(run.id, end);
    return run;
  }

  async get(id: string): Promise<CheckRun | undefined> {
    return this.runs.get(id);
  }

  async wait(id: string, timeoutMs: number, signal: AbortSignal): Promise<CheckRun> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const timedOut = new Promise<void>((resolve) =>
      limit.addEventListener('abort', () => resolve(), { once: true }),
    );
    await Promise.race([this.ends.get(id), timedOut]);
    const run = this.runs.get(id);
    if (run === undefined)
      throw new KilnError('not-found', `There is no check run ${id}.`, {
        next: 'It may be of an earlier run of the server; check again.',
      });
    return run;
  }

  async close(): Promise<void> {
    this.closing.abort(new KilnError('aborted', 'The server is closing.'));
    await Promise.all(this.ends.values());
  }

  private begin(what: CheckSubject): CheckRun {
    const ofImage = 'image' in what;
    const run: CheckRun = {
      id: this.parts.newId(),
      state: 'running',
      component: ofImage ? what.image.component : what.component,
      ...(ofImage ? { image: what.image.id } : { environment: what.environment }),
      results: [],
      startedAtMs: this.parts.clock.now(),
    };
    this.runs.set(run.id, run);
    this.forgetOldest();
    return run;
  }

  private forgetOldest(): void {
    for (const [id, run] of this.runs) {
      if (this.runs.size <= RUNS_KEPT) return;
      if (run.state === 'running') continue;
      this.runs.delete(id);
      this.ends.delete(id);
    }
  }

  private async carryOut(run: CheckRun, what: CheckSubject, actor: string): Promise<void> {
    const signal = AbortSignal.any([this.closing.signal, AbortSignal.timeout(LIMIT_MS)]);
    const ended = (outcome: Partial<CheckRun>): void => {
      this.runs.set(run.id, { ...run, ...outcome, endedAtMs: this.parts.clock.now() });
    };
    try {
      const { image, results } = await this.check(what, signal);
      for (const result of results) {
        await this.parts.store.images.recordCheck(image, result, { actor, atMs: this.parts.clock.now() });
      }
      ended({ state: results.every((result) => result.passed) ? 'passed' : 'failed', image, results });
    } catch (thrown) {
      ended({ state: 'error', failure: asKilnError(thrown) });
    }
  }

  private async check(
    what: CheckSubject,
    signal: AbortSignal,
  ): Promise<{ image: Image['id']; results: readonly CheckResult[] }> {
    if ('image' in what)
      return { image: what.image.id, results: await this.parts.checkImage(what.image, signal) };
    const release = await this.servingRelease(what.component, what.environment);
    return { image: release.image, results: await this.parts.checkRelease(release, signal) };
  }

  private async servingRelease(component: ComponentName, environment: EnvironmentName): Promise<Release> {
    const { services, releases } = this.parts.store;
    const serving = (await services.get(serviceKey(component, environment)))?.serving;
    const release = serving === undefined ? undefined : await releases.get(component, environment, serving);
    if (release !== undefined) return release;
    throw new KilnError('not-found', `Nothing of ${component} serves in ${environment}.`, {
      next: `Run: kiln deploy ${component} ${environment}`,
    });
  }
}
