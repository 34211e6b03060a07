/** Bitbucket Cloud: https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/ and …/manage-webhooks/ */
import { z } from 'zod';
import { branchName, changesOf, commitId, payloadAs, pushOf, text } from './payload.ts';
import type { Provider, Reading } from './provider.ts';
import { isHexHmac } from './signature.ts';

const repository = z.object({ full_name: text });
const actor = z.object({ nickname: text.optional(), display_name: text.default('somebody') });

const NOTHING = '0'.repeat(40);
/** `annotated_tag` is what the API calls some of them. */
const refType = z.enum(['branch', 'named_branch', 'bookmark', 'tag', 'annotated_tag']);
const refState = z.object({ type: refType, name: branchName, target: z.object({ hash: commitId }) });

const pushShape = z.object({
  actor: actor.nullish(),
  repository,
  push: z.object({
    /** It sends at most five refs of one push. */
    changes: z.array(z.object({ new: refState.nullable(), old: refState.nullable() })).max(100),
  }),
});

const side = z.object({
  branch: z.object({ name: branchName }),
  commit: z.object({ hash: commitId }),
  /** Null of a fork that is gone. */
  repository: repository.nullish(),
});

const pullRequestShape = z.object({
  actor: actor.nullish(),
  repository,
  pullrequest: z.object({
    id: z.int().positive(),
    title: text,
    source: side,
    destination: side,
  }),
});

export const bitbucket: Provider = {
  title: 'Bitbucket Cloud',
  isSigned: ({ header, body }, secret) => isHexHmac(header('x-hub-signature'), 'sha256=', body, secret),
  deliveryId: (header) => header('x-request-uuid'),
  eventName: (header) => header('x-event-key'),
  idIsSigned: false,
  read(event, payload) {
    if (event === 'repo:push') return readPush(payload, event);
    if (event === 'pullrequest:created' || event === 'pullrequest:updated') {
      return readPullRequest(payload, event);
    }
    return { kind: 'ignored', why: `nothing begins upon "${event}"` };
  },
};

function readPush(payload: unknown, event: string): Reading {
  const { actor: who, repository, push } = payloadAs(pushShape, payload, event);
  const found = push.changes.map(({ new: now, old }) => {
    if (now === null) return `${old?.name ?? 'a branch'} was deleted`;
    const ref = `refs/${now.type === 'branch' ? 'heads' : 'tags'}/${now.name}`;
    const before = old?.target.hash ?? NOTHING;
    return pushOf({ ref, before, commit: now.target.hash, sender: nameOf(who) });
  });
  return changesOf(repository.full_name, found);
}

function readPullRequest(payload: unknown, event: string): Reading {
  const { actor: who, repository, pullrequest } = payloadAs(pullRequestShape, payload, event);
  const { id, title, source, destination } = pullrequest;
  const fromFork = source.repository?.full_name.toLowerCase() !== repository.full_name.toLowerCase();
  // Unlike elsewhere its commits are then not in this repository, and no other one is ever fetched from.
  if (fromFork) return { kind: 'ignored', why: 'a fork’s commits are not to be had from this repository' };
  const change = {
    kind: 'pull-request',
    number: id,
    title,
    ref: `refs/heads/${source.branch.name}`,
    // It tells the first digits only: the branch says the rest.
    commit: source.commit.hash,
    base: destination.branch.name,
    sender: nameOf(who),
    fromFork: false,
    trusted: true,
  } as const;
  return changesOf(repository.full_name, [change]);
}

function nameOf(who: z.output<typeof actor> | null | undefined): string {
  return who?.nickname ?? who?.display_name ?? 'somebody';
}
