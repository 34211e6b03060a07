/** What a commit is to be told of an execution. Pure. */
import { z } from 'zod';
import type { ExecutionRecord, ExecutionStatus } from '../../domain/ports/executions.ts';
import type { CommitStatus } from '../../domain/ports/webhooks.ts';
import type { CommitState, Webhook } from '../../domain/webhook.ts';
import { repositoryName } from '../triggers/repository-name.ts';

/** What an execution that was started from a repository has in its input; of any other nothing is told. */
const inputShape = z.object({
  trigger: z.object({ source: z.object({ repository: z.string() }) }),
  commit: z.object({ sha: z.string().regex(/^[0-9a-f]{40,64}$/) }),
});

const STATES: Readonly<Record<ExecutionStatus, CommitState>> = {
  PENDING: 'pending',
  RUNNING: 'pending',
  SUCCEEDED: 'success',
  FAILED: 'failure',
  TIMED_OUT: 'failure',
  ABORTED: 'cancelled',
};

export const SAID: Readonly<Record<CommitState, string>> = {
  pending: 'The pipeline is under way',
  success: 'The pipeline has succeeded',
  failure: 'The pipeline has failed',
  cancelled: 'The pipeline was cancelled',
};

export function wantedStatus(
  { id, pipeline, status, input }: ExecutionRecord,
  webhooks: readonly Webhook[],
): CommitStatus | undefined {
  const { data } = inputShape.safeParse(input);
  if (data === undefined) return undefined;
  const name = repositoryName(data.trigger.source.repository);
  const webhook = webhooks.find((one) => one.status !== undefined && repositoryName(one.repository) === name);
  if (webhook === undefined) return undefined;
  return { execution: id, webhook: webhook.name, commit: data.commit.sha, pipeline, state: STATES[status] };
}
