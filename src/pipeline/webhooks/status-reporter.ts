/**
 * Tells commits how their pipelines go: pending, and then how it ended, each with a link to the execution.
 *
 * INVARIANTS
 *   - What is to be told is written down before the place in the store's events that it came from: a server that ends
 *     in between reads the event again, and writes down the same again.
 *   - It is told at least once, the newest last. What a provider is told twice under one context is one status there.
 *   - What fails is tried again, later each time, for a day; then it is given up and logged.
 *   - A token is read when it is needed, and goes nowhere but into the header of a call to the provider's API:
 *     redirects are not followed, and nothing of an answer is logged.
 */
import { asKilnError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { EventStore } from '../../domain/ports/events.ts';
import type { ExecutionStore } from '../../domain/ports/executions.ts';
import type { TriggerStore } from '../../domain/ports/triggers.ts';
import type { DueStatus, WebhookStore } from '../../domain/ports/webhooks.ts';
import type { StatusWay, Webhook } from '../../domain/webhook.ts';
import type { Secrets } from '../commands/secret-folder.ts';
import { type StatusRequest, statusRequest, wasTaken } from './status-request.ts';
import { SAID, wantedStatus } from './wanted-status.ts';

const CURSOR = 'commit-statuses';
const PAGE = 500;
/** Events that are read again after a crash at most. */
const NOTE_EVERY = 2_000;
/** Looked at this often, should another server have written something down. */
const ROUND_MS = 5_000;
const AT_ONCE = 8;
/** Longer than a call may take: until then nobody else makes it. */
const CLAIM_MS = 60_000;
const CALL_LIMIT_MS = 20_000;
const FIRST_PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 3_600_000;
const GIVEN_UP_MS = 24 * 3_600_000;
const MOST_ANSWER_BYTES = 4_096;

interface ReporterLog {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface ReporterParts {
  readonly store: Pick<
    WebhookStore,
    'list' | 'wantStatus' | 'claimStatuses' | 'statusSent' | 'statusFailed' | 'nextStatusAtMs'
  >;
  readonly cursors: Pick<TriggerStore, 'cursor' | 'note'>;
  readonly executions: Pick<ExecutionStore, 'get'>;
  readonly events: Pick<EventStore, 'after' | 'revision' | 'waitAfter'>;
  readonly secrets: Secrets;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly log: ReporterLog;
  /** Spreads retries; 0 ≤ n < 1. */
  readonly random: () => number;
}

type Reporting = Webhook & { readonly status: StatusWay };

export class StatusReporter {
  readonly #parts: ReporterParts;
  readonly #stop = new AbortController();
  #position: number | undefined;
  #noted = 0;
  #going: Promise<void> = Promise.resolve();

  constructor(parts: ReporterParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#going = this.#go(this.#stop.signal);
  }

  /** What is under way is left: whoever is next makes the call again. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the server is closing'));
    await this.#going;
  }

  async #go(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const revision = await this.#parts.events.revision();
        const webhooks = (await this.#parts.store.list()).filter(reports);
        await this.#follow(webhooks);
        if (webhooks.length > 0) await this.#tellDue(webhooks, signal);
        await this.#pause(revision, webhooks, signal);
      } catch (thrown) {
        if (signal.aborted) return;
        this.#warn(thrown, {}, 'statuses of commits cannot be looked after for now; trying again');
        await this.#parts.clock.sleep(ROUND_MS, signal).catch(() => undefined);
      }
    }
  }

  /** Writes down what the executions that began or ended since have to tell. */
  async #follow(webhooks: readonly Reporting[]): Promise<void> {
    const { cursors, events } = this.#parts;
    if (this.#position === undefined) {
      const noted = await cursors.cursor(CURSOR);
      this.#position = noted ?? (await events.revision());
      this.#noted = noted ?? -1;
    }
    let hasWritten = this.#noted < 0;
    for (;;) {
      const news = await events.after(this.#position, PAGE);
      for (const { kind, subject } of news) {
        if (webhooks.length === 0 || (kind !== 'execution.created' && kind !== 'execution.ended')) continue;
        hasWritten = (await this.#write(subject, webhooks)) || hasWritten;
      }
      this.#position = news.at(-1)?.revision ?? this.#position;
      if (news.length < PAGE) break;
    }
    if (!hasWritten && this.#position - this.#noted < NOTE_EVERY) return;
    await cursors.note(CURSOR, this.#position);
    this.#noted = this.#position;
  }

  async #write(execution: string, webhooks: readonly Reporting[]): Promise<boolean> {
    const { executions, store, clock } = this.#parts;
    const record = await executions.get(execution);
    const status = record && wantedStatus(record, webhooks);
    if (status === undefined) return false;
    await store.wantStatus(status, clock.now());
    return true;
  }

  async #tellDue(webhooks: readonly Reporting[], signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#parts;
    const byName = new Map(webhooks.map((webhook) => [webhook.name, webhook]));
    for (;;) {
      const due = await store.claimStatuses([...byName.keys()], clock.now(), CLAIM_MS, AT_ONCE);
      await Promise.all(
        due.map(async (status) => {
          const webhook = byName.get(status.webhook);
          if (webhook !== undefined) await this.#tell(webhook, status, signal);
        }),
      );
      if (due.length < AT_ONCE || signal.aborted) return;
    }
  }

  async #tell(webhook: Reporting, status: DueStatus, signal: AbortSignal): Promise<void> {
    const { store, secrets } = this.#parts;
    const { provider, repository, name } = webhook;
    const { execution, commit, pipeline, state } = status;
    const wish = {
      provider,
      repository,
      commit,
      state,
      api: webhook.status.api,
      context: `kiln/${pipeline}`,
      description: SAID[state],
      targetUrl: `${webhook.serverUrl.replace(/\/+$/, '')}/#/executions/${execution}`,
    };
    try {
      const token = await secrets.read(webhook.status.secret);
      const { isTaken, httpStatus, pauseMs } = await this.#call(provider, statusRequest(wish, token), signal);
      if (isTaken) {
        await store.statusSent(status);
        return;
      }
      const nextAtMs = this.#nextAtMs(status, pauseMs);
      await store.statusFailed(status, nextAtMs);
      const fields = { webhook: name, execution, httpStatus, nextAtMs };
      this.#parts.log.warn(fields, nextAtMs === undefined ? GIVEN_UP : 'a commit’s status was not taken');
    } catch (thrown) {
      if (signal.aborted) return;
      const nextAtMs = this.#nextAtMs(status, 0);
      await store.statusFailed(status, nextAtMs);
      this.#warn(
        thrown,
        { webhook: name, execution, nextAtMs },
        nextAtMs === undefined ? GIVEN_UP : 'a commit could not be told its status',
      );
    }
  }

  async #call(
    provider: Webhook['provider'],
    { url, headers, body }: StatusRequest,
    signal: AbortSignal,
  ): Promise<{ isTaken: boolean; httpStatus: number; pauseMs: number }> {
    const answer = await this.#parts.fetch(url, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', 'user-agent': 'kiln' },
      body: JSON.stringify(body),
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_LIMIT_MS)]),
    });
    const text = await beginningOf(answer);
    const pauseMs = Number(answer.headers.get('retry-after') ?? 0) * 1_000 || 0;
    return { isTaken: wasTaken(provider, answer.status, text), httpStatus: answer.status, pauseMs };
  }

  /** Undefined: it was tried for long enough. */
  #nextAtMs({ attempts, wantedAtMs }: DueStatus, atLeastMs: number): number | undefined {
    const { clock, random } = this.#parts;
    const nowMs = clock.now();
    if (nowMs - wantedAtMs > GIVEN_UP_MS) return undefined;
    const backOffMs = FIRST_PAUSE_MS * 2 ** Math.min(attempts, 20) * (0.75 + random() / 2);
    return nowMs + Math.round(Math.min(Math.max(backOffMs, atLeastMs), LONGEST_PAUSE_MS));
  }

  /** Until something happens, or the next call is due. */
  async #pause(revision: number, webhooks: readonly Reporting[], signal: AbortSignal): Promise<void> {
    const { store, events, clock } = this.#parts;
    const names = webhooks.map(({ name }) => name);
    const dueAtMs = names.length === 0 ? undefined : await store.nextStatusAtMs(names);
    const dueInMs = dueAtMs === undefined ? ROUND_MS : dueAtMs - clock.now();
    const limit = AbortSignal.timeout(Math.round(Math.min(Math.max(dueInMs, 0), ROUND_MS)));
    await events.waitAfter(revision, AbortSignal.any([signal, limit])).catch((error: unknown) => {
      signal.throwIfAborted();
      if (!limit.aborted) throw error;
    });
  }

  #warn(thrown: unknown, fields: Readonly<Record<string, unknown>>, message: string): void {
    const { code, message: why } = asKilnError(thrown);
    this.#parts.log.warn({ ...fields, code, why }, message);
  }
}

const GIVEN_UP = 'a commit is not told its status any more: it was tried for a day';

function reports(webhook: Webhook): webhook is Reporting {
  return webhook.status !== undefined;
}

/** As much as says why it was refused; the rest is not read. */
async function beginningOf(answer: Response): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const piece of answer.body ?? []) {
    text += decoder.decode(piece, { stream: true });
    if (text.length > MOST_ANSWER_BYTES) break;
  }
  return text;
}
