/** Payloads of GitHub, and of Gitea and Forgejo, which follow them. */
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
import type { Reading } from './provider.ts';

const repository = z.object({ full_name: text });
const person = z.object({ login: text });

const pushShape = z.object({
  ref: fullRef,
  before: commitId,
  after: commitId,
  forced: z.boolean().default(false),
  commits: z.array(filesOfCommit).max(5_000),
  /** Of Gitea: how many there are, where not all are told. */
  total_commits: z.int().optional(),
  repository,
  sender: person,
});

const side = z.object({ ref: branchName, sha: commitId, repo: repository.nullish() });

const pullRequestShape = z.object({
  action: text,
  number: z.int().positive(),
  pull_request: z.object({ title: text, head: side, base: side }),
  repository,
  sender: person,
});

export function readPush(
  payload: unknown,
  isComplete: (push: z.output<typeof pushShape>) => boolean,
): Reading {
  const push = payloadAs(pushShape, payload, 'push');
  const { ref, before, after, forced, commits, repository, sender } = push;
  // Of a new branch and after a forced push, the commits told are not what lies between two states of it.
  const isKnown = !forced && !/^0+$/.test(before) && isComplete(push);
  const paths = isKnown && { paths: pathsOf(commits) };
  const change = pushOf({ ref, commit: after, before, sender: sender.login, ...paths });
  return changesOf(repository.full_name, [change]);
}

/** `actions`: those after which there are other commits to look at. */
export function readPullRequest(payload: unknown, actions: readonly string[]): Reading {
  const { action, number, pull_request, repository, sender } = payloadAs(
    pullRequestShape,
    payload,
    'pull_request',
  );
  if (!actions.includes(action)) {
    return { kind: 'ignored', why: `a pull request that was ${action} brings no commits` };
  }
  const { title, head, base } = pull_request;
  // Of a fork that is gone nothing is told: it is one all the same.
  const isFork = head.repo?.full_name.toLowerCase() !== repository.full_name.toLowerCase();
  const change = {
    kind: 'pull-request',
    number,
    title,
    ref: `refs/pull/${number}/head`,
    commit: head.sha,
    base: base.ref,
    sender: sender.login,
    ...trustIn(isFork),
  } as const;
  return changesOf(repository.full_name, [change]);
}

/** Events beside push and pull_request that are known to need nothing. */
export function otherEvent(event: string): Reading {
  if (event === 'create') return { kind: 'ignored', why: 'the push of a new branch or tag says the same' };
  return { kind: 'ignored', why: `nothing begins upon "${event}"` };
}
