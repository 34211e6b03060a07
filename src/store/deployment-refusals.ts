import type { Deployment } from '../domain/deployment.ts';
import { KilnError } from '../domain/errors.ts';

export function deploymentInProgress(first: Deployment): KilnError {
  const since = new Date(first.createdAtMs).toISOString();
  const doing =
    first.state === 'queued'
      ? 'waits to be deployed'
      : first.reason === 'rollback'
        ? 'is being rolled back to'
        : 'is being deployed';
  return new KilnError(
    'deployment.in-progress',
    `Release ${first.to} of ${first.component} in ${first.environment} ${doing} (deployment ${first.id}, by ${first.createdBy}, since ${since}).`,
    {
      next: 'Wait for it to end, ask to queue behind it, or ask to replace it.',
      details: {
        deployment: first.id,
        release: first.to,
        by: first.createdBy,
        sinceMs: first.createdAtMs,
        state: first.state,
      },
    },
  );
}

export function deploymentEnded(deployment: Deployment): KilnError {
  return new KilnError('input.conflict', `Deployment ${deployment.id} is ${deployment.state}, not running.`, {
    next: 'Look at the deployment; start another one if you want a change.',
    details: { deployment: deployment.id, state: deployment.state },
  });
}
