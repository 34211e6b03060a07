/** GitHub: https://docs.github.com/en/webhooks/webhook-events-and-payloads and …/validating-webhook-deliveries */
import { otherEvent, readPullRequest, readPush } from './github-like.ts';
import type { Provider } from './provider.ts';
import { isHexHmac } from './signature.ts';

/** A push names no more of its commits. */
const MOST_COMMITS = 2_048;

export const github: Provider = {
  title: 'GitHub',
  isSigned: ({ header, body }, secret) => isHexHmac(header('x-hub-signature-256'), 'sha256=', body, secret),
  deliveryId: (header) => header('x-github-delivery'),
  eventName: (header) => header('x-github-event'),
  idIsSigned: false,
  read(event, payload) {
    if (event === 'ping') return { kind: 'ping' };
    if (event === 'push') return readPush(payload, ({ commits }) => commits.length < MOST_COMMITS);
    if (event === 'pull_request') return readPullRequest(payload, ['opened', 'reopened', 'synchronize']);
    return otherEvent(event);
  },
};
