/**
 * Slash commands of Slack (https://docs.slack.dev/interactivity/implementing-slash-commands), and who signed them
 * (https://docs.slack.dev/authentication/verifying-requests-from-slack): `v0=` and the HMAC-SHA256 of
 * `v0:TIMESTAMP:BODY`, at most five minutes old.
 */
import { KilnError } from '../../domain/errors.ts';
import type { Delivery } from '../webhooks/provider.ts';
import { isFresh, isHexHmac } from '../webhooks/signature.ts';

export interface SlashCommand {
  /** Slack's id of who wrote it, such as `U024BE7LH`. */
  readonly user: string;
  readonly text: string;
  /** The same when Slack, or somebody who overheard it, sends it again. */
  readonly id: string;
}

/** Compares in constant time; the hour is part of what is signed. */
export function isSlackSigned({ header, body, atMs }: Delivery, secret: string): boolean {
  const timestamp = header('x-slack-request-timestamp') ?? '';
  const signed = Buffer.concat([Buffer.from(`v0:${timestamp}:`), body]);
  const isSigned = isHexHmac(header('x-slack-signature'), 'v0=', signed, secret);
  return isSigned && secret !== '' && isFresh(timestamp, atMs);
}

/** Fails with `input.invalid` for what is no slash command. */
export function slashCommand(body: Uint8Array): SlashCommand {
  const form = new URLSearchParams(Buffer.from(body).toString());
  const [user, text, id] = ['user_id', 'text', 'trigger_id'].map((name) => form.get(name));
  if (user && id && text !== null && text !== undefined) return { user, text, id };
  throw new KilnError('input.invalid', 'This is no slash command of Slack.', {
    next: 'Let a slash command of the Slack app call this address.',
  });
}
