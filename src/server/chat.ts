import type { Logger } from 'pino';
import { asKilnError } from '../domain/errors.ts';
import type { HttpParts } from '../http/parts.ts';
import type { Secrets } from '../pipeline/commands/secret-folder.ts';
import type { Settings } from '../settings.ts';

/** The secret is read for each command: one that is written later, or changed, holds at once. */
export function openChat({ slack }: Settings, secrets: Secrets, log: Logger): HttpParts['chat'] {
  return {
    users: slack?.users ?? {},
    async slackSecret() {
      if (slack === undefined) return undefined;
      try {
        return await secrets.read(slack.secret);
      } catch (thrown) {
        const { code, message: why, next } = asKilnError(thrown);
        log.warn({ code, why, next }, 'commands of Slack cannot be checked, and are refused');
        return undefined;
      }
    },
  };
}
