/** Gitea (https://docs.gitea.com/usage/webhooks) and Forgejo (https://forgejo.org/docs/latest/user/webhooks/). */
import { otherEvent, readPullRequest, readPush } from './github-like.ts';
import type { Delivery, HeaderOf, Provider } from './provider.ts';
import { isHexHmac } from './signature.ts';

/** The first that is there counts: a wrong one is not made good by another. */
const SIGNATURES = [
  ['x-forgejo-signature', ''],
  ['x-gitea-signature', ''],
  ['x-hub-signature-256', 'sha256='],
] as const;

export const gitea: Provider = {
  title: 'Gitea or Forgejo',
  isSigned({ header, body }: Delivery, secret) {
    const [name, prefix] = SIGNATURES.find(([one]) => header(one) !== undefined) ?? SIGNATURES[0];
    return isHexHmac(header(name), prefix, body, secret);
  },
  deliveryId: (header) => firstOf(header, 'delivery'),
  eventName: (header) => firstOf(header, 'event'),
  idIsSigned: false,
  read(event, payload) {
    if (event === 'ping') return { kind: 'ping' };
    if (event === 'push') {
      return readPush(payload, ({ commits, total_commits }) => commits.length === total_commits);
    }
    // `pull_request_sync` is the type of what `pull_request` is the event of.
    if (event === 'pull_request') return readPullRequest(payload, ['opened', 'reopened', 'synchronized']);
    return otherEvent(event);
  },
};

function firstOf(header: HeaderOf, what: 'delivery' | 'event'): string | undefined {
  return header(`x-forgejo-${what}`) ?? header(`x-gitea-${what}`) ?? header(`x-github-${what}`);
}
