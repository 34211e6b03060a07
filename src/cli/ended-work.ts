/** Work that the server has begun: followed to its end, and how it ended as a failure or an answer. */
import type { Client } from '../api/client.ts';
import type { Answer } from '../api/contract.ts';
import { errorOfProblem, exitCodeOf, isErrorCode } from '../api/failures.ts';
import { KilnError } from '../domain/errors.ts';
import type { Context } from './context.ts';
import { showFailure } from './failure.ts';

export type Bake = Answer<'bakes.get'>;
export type CheckRun = Answer<'checks.get'>;
export type Deployment = Answer<'deployments.get'>;

const WAIT_SECONDS = 30;

/** Asks until it has ended, each time for as long as the server lets an answer wait. */
export async function untilEnded<Work>(
  first: Work,
  ended: (work: Work) => boolean,
  ask: (waitSeconds: number) => Promise<Work>,
): Promise<Work> {
  let work = first;
  while (!ended(work)) work = await ask(WAIT_SECONDS);
  return work;
}

function deploymentEnded({ state }: Pick<Deployment, 'state'>): boolean {
  return state !== 'queued' && state !== 'running';
}

/**
 * Follows a deployment to its end, saying each step. `after`: a revision from before it began, so that no step
 * is missed.
 */
export async function followDeployment(
  context: Context,
  client: Client,
  deployment: Deployment,
  after: number | undefined,
): Promise<Deployment> {
  const { id } = deployment;
  const get = (wait: number) =>
    client.call('deployments.get', { params: { id }, query: { wait } }, { signal: context.signal });
  if (after !== undefined && !deploymentEnded(deployment)) {
    const query = { after, kind: 'deployment.', subject: id };
    for await (const { event, data } of client.follow(
      'events.follow',
      { query },
      { signal: context.signal },
    )) {
      if (event === 'deployment.finished') break;
      if (event === 'deployment.progress') context.progress.update(stepText(data));
    }
  }
  return untilEnded(await get(0), deploymentEnded, get);
}

function stepText(data: string | undefined): string {
  const event: unknown = JSON.parse(data ?? '{}');
  if (typeof event !== 'object' || event === null || !('data' in event)) return '';
  const inner = event.data;
  return typeof inner === 'object' && inner !== null && 'text' in inner ? String(inner.text) : '';
}

/** Says why it failed; resolves with the exit code. */
export async function failed(context: Context, error: KilnError): Promise<number> {
  await showFailure(error, context.terminal, context.json);
  return exitCodeOf(error);
}

export function bakeFailure(bake: Bake): KilnError | undefined {
  if (bake.failure !== undefined) return failureOf(bake.failure);
  return bake.state === 'cancelled' ? new KilnError('aborted', 'The bake was cancelled.') : undefined;
}

export function deploymentFailure(deployment: Deployment): KilnError | undefined {
  if (deployment.state === 'deployed') return undefined;
  const { component, environment, failure, state, from } = deployment;
  const code = failure !== undefined && isErrorCode(failure.code) ? failure.code : `deployment.${state}`;
  const serves = from === undefined ? 'nothing serves there' : `release ${from} serves as before`;
  const message = failure?.message ?? `The deployment of release ${deployment.to} was ${state}.`;
  const [first, ...seen] = message.split('\n');
  return new KilnError(
    isErrorCode(code) ? code : 'deployment.failed',
    [`${first} (${serves})`, ...seen].join('\n'),
    {
      next: `${failure?.next ?? 'Correct that, bake and deploy again.'} What runs now: kiln status ${component}, kiln logs ${component} ${environment}`,
      details: { deployment: deployment.id },
    },
  );
}

/** Undefined: every check passed. A failed check is an answer, not an error; one that could not be made is. */
export function checkFailure(run: CheckRun): KilnError | undefined {
  if (run.state === 'passed') return undefined;
  if (run.failure !== undefined) return failureOf(run.failure);
  const count = run.results.reduce((sum, result) => sum + result.failedCount, 0);
  return new KilnError('check.failed', `${count} check${count === 1 ? '' : 's'} failed.`, {
    next: 'Correct what failed, bake again, and check again.',
  });
}

/** The failure inside an answer, as the failure that it was. */
export function failureOf({ message, ...failure }: NonNullable<Bake['failure']>): KilnError {
  return errorOfProblem(200, { ...failure, detail: message, retryable: false });
}
