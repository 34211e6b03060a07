/** Environments that executions of pipelines do not deploy to for now. */
import type { Change } from '../change.ts';
import type { EnvironmentName } from '../ids.ts';

export interface Pause {
  readonly environment: EnvironmentName;
  readonly by: string;
  readonly why: string;
  readonly sinceMs: number;
}

export interface PauseStore {
  list(): Promise<readonly Pause[]>;
  /** One that is paused already keeps who paused it first, and why. */
  pause(environment: EnvironmentName, why: string, change: Change): Promise<Pause>;
  /** False: it was not paused. */
  resume(environment: EnvironmentName, change: Change): Promise<boolean>;
}
