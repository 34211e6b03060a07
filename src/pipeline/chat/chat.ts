/**
 * Carries out what is asked for in a chat, for somebody whom Kiln knows: with the rights of that person's token, and
 * answered in words. What is sent twice is done once: a start is known by the message's id, and all else changes
 * nothing the second time.
 */
import type { Actor } from '../../domain/audit.ts';
import { KilnError } from '../../domain/errors.ts';
import { evidenceText } from '../../domain/evidence-text.ts';
import type { ExecutionStore } from '../../domain/ports/executions.ts';
import type { TriggerStore } from '../../domain/ports/triggers.ts';
import type { PipelineSource } from '../../domain/trigger.ts';
import type { Pipelines, Starter } from '../pipelines.ts';
import type { Sources } from '../triggers/sources.ts';
import type { Waits } from '../why.ts';
import { CHAT_HELP, type ChatWish } from './chat-wish.ts';

const MOST_LISTED = 10;
/** Of what an execution waits for, with the evidence of its approvals. */
const MOST_LINES = 60;

export interface ChatParts {
  readonly sources: Pick<Sources, 'ask'>;
  readonly triggers: Pick<TriggerStore, 'sources'>;
  readonly executions: Pick<ExecutionStore, 'list'>;
  readonly pipelines: Pick<Pipelines, 'show' | 'decide' | 'cancel'>;
}

export interface Asker {
  readonly actor: Actor;
  /** Names the message. */
  readonly message: string;
  /** Fails with `auth.denied` for whoever may not change anything. */
  readonly assertMayChange: () => void;
  /** … or not answer this. */
  readonly assertMayDecide: (waits: Waits) => void;
}

/** What is said back; failures are `KilnError`s, for whoever says these. */
export async function answerInChat(parts: ChatParts, wish: ChatWish, asker: Asker): Promise<string> {
  const { actor } = asker;
  const starter: Starter = {
    actor: actor.name,
    rights: { role: actor.role, environments: actor.environments },
  };
  switch (wish.kind) {
    case 'help':
      return CHAT_HELP;
    case 'list':
      return open(parts);
    case 'start':
      asker.assertMayChange();
      return start(parts, wish, asker);
    case 'why':
      return why(parts, wish.execution);
    case 'cancel':
      asker.assertMayChange();
      if (await parts.pipelines.cancel(wish.execution, starter))
        return `${wish.execution} is being cancelled.`;
      return `${wish.execution} had ended already.`;
    default: {
      asker.assertMayChange();
      const isYes = wish.kind === 'approve';
      const decision = { approve: isYes, why: wish.why === '' ? 'in the chat' : wish.why };
      await parts.pipelines.decide(wish.execution, decision, asker.assertMayDecide, starter);
      return `${wish.execution} is ${isYes ? 'approved' : 'rejected'} by ${actor.name}.`;
    }
  }
}

async function start(
  { triggers, sources }: ChatParts,
  { pipeline, at, parameters }: Extract<ChatWish, { kind: 'start' }>,
  { actor, message }: Asker,
): Promise<string> {
  const source = sourceOf(await triggers.sources(), pipeline);
  const wish = { kind: 'chat', delivery: message, parameters, ...(at !== undefined && { at }) } as const;
  const { execution } = await sources.ask(source.id, wish, actor.name);
  return `${source.component} starts as ${execution}. What becomes of it: why ${execution}`;
}

function sourceOf(sources: readonly PipelineSource[], name: string): PipelineSource {
  const found = sources.filter(({ id, component }) => id === name || component === name);
  const [source] = found;
  if (source !== undefined && found.length === 1) return source;
  const known = [...new Set(sources.map(({ component }) => component))].join(', ') || 'none';
  throw source === undefined
    ? new KilnError('not-found', `Kiln watches no pipeline ${name}.`, {
        next: `Those that it does: ${known}`,
      })
    : new KilnError('input.conflict', `${name} is watched more than once.`, {
        next: `Name one of them: ${found.map(({ id }) => id).join(', ')}`,
      });
}

async function open({ executions }: ChatParts): Promise<string> {
  const { items } = await executions.list({ open: true }, { limit: MOST_LISTED });
  if (items.length === 0) return 'Nothing runs.';
  return items.map(({ id, pipeline, status }) => `${pipeline} ${status} ${id}`).join('\n');
}

async function why({ pipelines }: ChatParts, id: string): Promise<string> {
  const { record, waits, error, cause } = await pipelines.show(id);
  const ended = [error, cause].filter((text) => text !== undefined).join(': ');
  const lines = waits.flatMap(({ state, text, releases = [] }) => [
    state === '' ? text : `${state} ${text}`,
    ...releases.flatMap(evidenceText),
  ]);
  const shown = lines.slice(0, MOST_LINES);
  if (lines.length > shown.length)
    shown.push(`…and ${lines.length - shown.length} lines more: kiln pipeline why ${id}`);
  return [`${record.pipeline} ${record.status}${ended === '' ? '' : `: ${ended}`}`, ...shown].join('\n');
}
