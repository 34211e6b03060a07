/** What tasks do their work with. */
import type { Clock } from '../domain/ports/clock.ts';
import type { Json } from './asl/json.ts';
import type { CommandWish } from './commands/command-wish.ts';
import type { TaskCall } from './task.ts';
import type { Verbs } from './verbs.ts';

export interface OtherWish {
  readonly directory: string;
  readonly file?: string | undefined;
  readonly input?: Json | undefined;
  readonly parameters: Readonly<Record<string, Json>>;
  readonly wait: boolean;
}

export interface TaskParts {
  readonly verbs: Verbs;
  readonly clock: Clock;
  readonly fetch: typeof fetch;
  /** Resolves once pipelines may deploy there. */
  readonly mayDeploy: (environment: string, sinceMs: number, signal: AbortSignal) => Promise<void>;
  readonly runCommand: (wish: CommandWish, call: TaskCall, signal: AbortSignal) => Promise<Json>;
  readonly runOnWorker: (
    wish: CommandWish,
    labels: readonly string[],
    call: TaskCall,
    signal: AbortSignal,
  ) => Promise<Json>;
  readonly startOther: (wish: OtherWish, call: TaskCall, signal: AbortSignal) => Promise<Json>;
}
