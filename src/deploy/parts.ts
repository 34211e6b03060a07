/** What deploying works with; the composition root hands it in. */
import type { CheckResult } from '../domain/image.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { Router } from '../domain/ports/router.ts';
import type { Store } from '../domain/ports/store.ts';
import type { Target } from '../domain/ports/target.ts';
import type { Release } from '../domain/release.ts';

export interface DeployLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface DeployParts {
  readonly store: Store;
  readonly targets: ReadonlyMap<string, Target>;
  readonly router: Router;
  readonly clock: Clock;
  readonly log: DeployLog;
  /** Runs the release's smoke checks through the router. */
  readonly checkRelease: (release: Release, signal: AbortSignal) => Promise<readonly CheckResult[]>;
}
