import type { Client } from '../../api/client.ts';
import type { Answer } from '../../api/contract.ts';
import { answer, type Context, choiceFlag, hint, isSet } from '../context.ts';
import { CONFLICTS, type DeployWish, deployWish } from '../deploy-wish.ts';
import { deploymentFailure, failed, followDeployment } from '../ended-work.ts';

export type DeployOutcome = Answer<'deployments.start'>;

export async function run(context: Context): Promise<number> {
  const wish = deployWish(context);
  const client = context.client();
  const onConflict = choiceFlag(context.flags, 'onConflict', '--on-conflict', CONFLICTS) ?? 'refuse';
  if (isSet(context.flags, 'detach')) {
    const begun = await client.call(
      'deployments.start',
      { body: { ...wish, onConflict } },
      { signal: context.signal },
    );
    return answer(context, begun, () => begun.deployment?.id ?? 'unchanged');
  }
  const outcome = await deployTo(context, client, wish, onConflict);
  const failure = outcome.deployment && deploymentFailure(outcome.deployment);
  if (failure !== undefined) return failed(context, failure);
  answer(context, outcome, () => undefined);
  hint(
    context,
    `next: kiln status ${wish.component}; to go back: kiln rollback ${wish.component} ${wish.environment}`,
  );
  return 0;
}

/** Deploys to the end, saying each step; Ctrl-C only stops waiting. */
export async function deployTo(
  context: Context,
  client: Client,
  wish: DeployWish,
  onConflict: (typeof CONFLICTS)[number],
): Promise<DeployOutcome> {
  const { progress, signal } = context;
  const where = `${wish.component} in ${wish.environment}`;
  progress.begin(`deploying ${where}`);
  const after = context.json ? undefined : (await client.call('server.get', {}, { signal })).revision;
  const outcome = await client.call('deployments.start', { body: { ...wish, onConflict } }, { signal });
  if (outcome.deployment === undefined) {
    progress.end('same', `unchanged: ${where} serves release ${outcome.release} (${outcome.version})`);
    return outcome;
  }
  const { id } = outcome.deployment;
  context.onInterrupt(
    () => `the deployment goes on in the server; see kiln status, or end it: kiln cancel ${id}`,
  );
  const deployment = await followDeployment(context, client, outcome.deployment, after);
  const release = `release ${outcome.release} (${outcome.version})`;
  if (deployment.state === 'deployed') progress.end('done', `deployed: ${where} serves ${release}`);
  else progress.end('failed', `${deployment.state}: ${release} of ${where}`);
  return { ...outcome, deployment };
}
