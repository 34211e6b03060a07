/** Bitbucket Data Center: https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html */
import { z } from 'zod';
import { branchName, changesOf, commitId, fullRef, payloadAs, pushOf, text, trustIn } from './payload.ts';
import type { Provider, Reading } from './provider.ts';
import { isHexHmac } from './signature.ts';

const repository = z
  .object({ slug: text, project: z.object({ key: text }) })
  .transform(({ slug, project }) => `${project.key}/${slug}`);
const actor = z.object({ name: text });

const pushShape = z.object({
  actor,
  repository,
  changes: z.array(z.object({ refId: fullRef, fromHash: commitId, toHash: commitId })).max(1_000),
});

const side = z.object({ displayId: branchName, latestCommit: commitId, repository });

const pullRequestShape = z.object({
  actor,
  pullRequest: z.object({
    id: z.int().positive(),
    title: text,
    fromRef: side,
    toRef: side,
  }),
});

export const bitbucketServer: Provider = {
  title: 'Bitbucket Data Center',
  isSigned: ({ header, body }, secret) => isHexHmac(header('x-hub-signature'), 'sha256=', body, secret),
  deliveryId: (header) => header('x-request-id'),
  eventName: (header) => header('x-event-key'),
  idIsSigned: false,
  read(event, payload) {
    if (event === 'diagnostics:ping') return { kind: 'ping' };
    if (event === 'repo:refs_changed') return readPush(payload, event);
    if (event === 'pr:opened' || event === 'pr:from_ref_updated') return readPullRequest(payload, event);
    return { kind: 'ignored', why: `nothing begins upon "${event}"` };
  },
};

function readPush(payload: unknown, event: string): Reading {
  const { actor: who, repository, changes } = payloadAs(pushShape, payload, event);
  const found = changes.map(({ refId, fromHash, toHash }) =>
    pushOf({ ref: refId, commit: toHash, before: fromHash, sender: who.name }),
  );
  return changesOf(repository, found);
}

function readPullRequest(payload: unknown, event: string): Reading {
  const { actor: who, pullRequest } = payloadAs(pullRequestShape, payload, event);
  const { id, title, fromRef, toRef } = pullRequest;
  const change = {
    kind: 'pull-request',
    number: id,
    title,
    ref: `refs/pull-requests/${id}/from`,
    commit: fromRef.latestCommit,
    base: toRef.displayId,
    sender: who.name,
    ...trustIn(fromRef.repository.toLowerCase() !== toRef.repository.toLowerCase()),
  } as const;
  return changesOf(toRef.repository, [change]);
}
