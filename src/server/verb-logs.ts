/** What Kiln's own verbs say while a pipeline waits for them goes into the log of their task, as a command's output does. */
import type { BakeProgress } from '../bakery/bake-record.ts';
import { asKilnError } from '../domain/errors.ts';
import type { Revision } from '../domain/ids.ts';
import type { EventStore } from '../domain/ports/events.ts';
import type { TaskLog, TaskLogs } from '../domain/ports/task-log.ts';
import type { TaskCall } from '../pipeline/task.ts';

export type Said = { readonly title: string } | { readonly line: string };

const BATCH = 500;
/** What says by itself that it has come to its end has so long to do so. */
const LAST_WORDS_MS = 2_000;

interface Ends {
  /** The work has ended: nothing more will be said. */
  readonly ended: AbortSignal;
  /** Nothing more will be written down. */
  readonly cut: AbortSignal;
}

export interface VerbLogsLog {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export class VerbLogs {
  readonly #logs: TaskLogs;
  readonly #log: VerbLogsLog;

  constructor(logs: TaskLogs, log: VerbLogsLog) {
    this.#logs = logs;
    this.#log = log;
  }

  /** Does the work while what it says is written down; that this cannot be does not hinder it. */
  async within<Result>(
    { key, execution, pipeline, request }: TaskCall,
    sayings: (ends: Ends) => AsyncIterable<Said>,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const [ended, cut] = [new AbortController(), new AbortController()];
    const ends = { ended: ended.signal, cut: cut.signal };
    const about = { key, execution, pipeline, state: request.state, secrets: [] };
    const written = this.#write(about, sayings(ends)).catch((thrown: unknown) => {
      if (!cut.signal.aborted) this.#log.warn({ err: asKilnError(thrown), task: key }, 'a task has no log');
    });
    try {
      return await work();
    } finally {
      ended.abort();
      const timer = setTimeout(() => cut.abort(), LAST_WORDS_MS);
      await written;
      clearTimeout(timer);
    }
  }

  /** Who says nothing has no log. */
  async #write(about: Parameters<TaskLogs['open']>[0], sayings: AsyncIterable<Said>): Promise<void> {
    let log: TaskLog | undefined;
    try {
      for await (const said of sayings) {
        log ??= await this.#logs.open(about);
        if ('title' in said) await log.group(said.title);
        else await log.write(Buffer.from(`${said.line}\n`));
      }
    } finally {
      await log?.close();
    }
  }
}

export async function* bakeSayings(progress: AsyncIterable<BakeProgress>): AsyncIterable<Said> {
  for await (const one of progress) {
    if (one.kind === 'stage') yield { title: `${one.name} ${one.detail}`.trim() };
    if (one.kind === 'output') yield { line: one.line };
    if (one.kind === 'end' && one.outcome.kind === 'failed') yield { line: one.outcome.error.message };
  }
}

/** The steps of a deployment, from this revision on, until the signal says that it has ended. */
export async function* deploymentSayings(
  events: Pick<EventStore, 'after' | 'waitAfter'>,
  deployment: string,
  from: Revision,
  ended: AbortSignal,
): AsyncIterable<Said> {
  for (let seen = from; ; ) {
    const batch = await events.after(seen, BATCH);
    for (const { kind, subject, data } of batch) {
      if (subject !== deployment || kind !== 'deployment.progress') continue;
      if (typeof data.text === 'string') yield { line: data.text };
    }
    seen = batch.at(-1)?.revision ?? seen;
    if (batch.length > 0) continue;
    // What was said before it ended has been read.
    if (ended.aborted) return;
    await events.waitAfter(seen, ended).catch((thrown: unknown) => {
      if (!ended.aborted) throw thrown;
    });
  }
}
