/**
 * The chat: slash commands of Slack. Like a webhook it takes no token; the signature says that it comes from the chat,
 * and the chat says who wrote it, whom the settings know by the name of a token: its rights are theirs, and gone with it.
 */
import type { Actor } from '../domain/audit.ts';
import { asKilnError, KilnError } from '../domain/errors.ts';
import { answerInChat, type ChatParts } from '../pipeline/chat/chat.ts';
import { chatWish } from '../pipeline/chat/chat-wish.ts';
import { isSlackSigned, type SlashCommand, slashCommand } from '../pipeline/chat/slack.ts';
import { DECOY_SECRET } from '../pipeline/webhooks/signature.ts';
import { jsonAnswer } from './answers.ts';
import { assertRole } from './auth.ts';
import { assertMayDecide } from './may-decide.ts';
import type { KilnHono } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { WebhookGate } from './webhook-gate.ts';

const SLACK = '/chat/slack';

/** Before the middleware that asks for a token. */
export function receiveChat(app: KilnHono, parts: HttpParts): void {
  const gate = new WebhookGate(parts.webhooks.limits);
  app.post(SLACK, (context) => {
    context.set('operation', 'chat.slack');
    return gate.within(context.req.raw, async (body) => {
      const delivery = { header: (name: string) => context.req.header(name), body, atMs: parts.clock.now() };
      const secret = await parts.chat.slackSecret();
      if (!isSlackSigned(delivery, secret ?? DECOY_SECRET) || secret === undefined) throw unsigned();
      const command = slashCommand(body);
      const text = await said(parts, command).catch((thrown: unknown) => refusal(thrown));
      // Seen by whoever wrote it alone; an error that is no answer would not be shown at all.
      return jsonAnswer(200, { response_type: 'ephemeral', text });
    });
  });
}

async function said(parts: HttpParts, { user, text, id }: SlashCommand): Promise<string> {
  const actor = await actorOf(parts, user);
  const { sources, pipelines, store } = parts;
  const chat: ChatParts = { sources, pipelines, triggers: store.triggers, executions: store.executions };
  return answerInChat(chat, chatWish(text), {
    actor,
    message: `slack/${id}`,
    assertMayChange: () => assertRole(actor, 'deployer'),
    assertMayDecide: (waits) => assertMayDecide(actor, waits),
  });
}

async function actorOf({ chat, store, clock }: HttpParts, user: string): Promise<Actor> {
  const name = chat.users[user];
  if (name === undefined) throw denied(`Kiln does not know the Slack user ${user}.`);
  const [token, another] = (await store.tokens.list()).filter(
    (one) => one.name === name && (one.expiresAtMs ?? Infinity) > clock.now(),
  );
  if (token === undefined) throw denied(`There is no token "${name}", whose rights you would have.`);
  if (another !== undefined) throw denied(`More than one token is called "${name}".`);
  return token;
}

function denied(why: string): KilnError {
  return new KilnError('auth.denied', why, {
    next: 'An admin names one token for each user: chat.slack.users in settings.yaml.',
  });
}

function refusal(thrown: unknown): string {
  const { message, next } = asKilnError(thrown);
  return next === undefined ? message : `${message} ${next}`;
}

function unsigned(): KilnError {
  return new KilnError('webhook.unsigned', 'The signature of this command does not hold here.', {
    next: 'See that chat.slack.secret in settings.yaml names the signing secret of the Slack app.',
  });
}
