/** GitLab: https://docs.gitlab.com/user/project/integrations/webhook_events/ and …/webhooks/ */
import { z } from 'zod';
import {
  branchName,
  changesOf,
  commitId,
  filesOfCommit,
  fullRef,
  pathsOf,
  payloadAs,
  pushOf,
  text,
  trustIn,
} from './payload.ts';
import type { Provider, Reading } from './provider.ts';
import { isSameSecret, isStandardSigned } from './signature.ts';

const project = z.object({ path_with_namespace: text });

const pushShape = z.object({
  ref: fullRef,
  before: commitId,
  after: commitId,
  /** The commit that an annotated tag names; null when the ref was deleted. */
  checkout_sha: commitId.nullish(),
  user_username: text.optional(),
  user_name: text.default(''),
  project,
  commits: z.array(filesOfCommit).max(5_000).default([]),
  total_commits_count: z.int().default(0),
});

const mergeRequestShape = z.object({
  user: z.object({ username: text }),
  project,
  object_attributes: z.object({
    iid: z.int().positive(),
    action: text.optional(),
    /** There only when the update brought other commits. */
    oldrev: commitId.optional(),
    title: text,
    target_branch: branchName,
    source_project_id: z.int().nullable(),
    target_project_id: z.int(),
    last_commit: z.object({ id: commitId }),
  }),
});

export const gitlab: Provider = {
  title: 'GitLab',
  // A signature counts before the plain token, which whoever overhears one delivery knows.
  isSigned: (delivery, secret) =>
    delivery.header('webhook-signature') === undefined
      ? isSameSecret(delivery.header('x-gitlab-token'), secret)
      : isStandardSigned(delivery, secret),
  deliveryId: (header) => header('webhook-id') ?? header('idempotency-key') ?? header('x-gitlab-event-uuid'),
  eventName: (header) => header('x-gitlab-event'),
  // With a plain token nothing is signed, and whoever knows it can send whatever they like.
  idIsSigned: true,
  read(event, payload) {
    if (event === 'Push Hook' || event === 'Tag Push Hook') return readPush(payload, event);
    if (event === 'Merge Request Hook') return readMergeRequest(payload, event);
    return { kind: 'ignored', why: `nothing begins upon "${event}"` };
  },
};

function readPush(payload: unknown, event: string): Reading {
  const push = payloadAs(pushShape, payload, event);
  const { ref, before, after, checkout_sha, user_username, user_name, project, commits } = push;
  const isDeleted = /^0+$/.test(after);
  const isComplete = commits.length === push.total_commits_count && !/^0+$/.test(before);
  const change = pushOf({
    ref,
    commit: isDeleted ? after : (checkout_sha ?? after),
    before,
    sender: user_username ?? user_name,
    ...(isComplete && { paths: pathsOf(commits) }),
  });
  return changesOf(project.path_with_namespace, [change]);
}

function readMergeRequest(payload: unknown, event: string): Reading {
  const { user, project, object_attributes: made } = payloadAs(mergeRequestShape, payload, event);
  const { iid, action = 'changed', oldrev, title, last_commit } = made;
  if (!(action === 'open' || action === 'reopen' || (action === 'update' && oldrev !== undefined))) {
    return { kind: 'ignored', why: `a merge request's "${action}" brings no commits` };
  }
  const change = {
    kind: 'pull-request',
    number: iid,
    title,
    ref: `refs/merge-requests/${iid}/head`,
    commit: last_commit.id,
    base: made.target_branch,
    sender: user.username,
    ...trustIn(made.source_project_id !== made.target_project_id),
  } as const;
  return changesOf(project.path_with_namespace, [change]);
}
