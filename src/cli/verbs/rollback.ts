import { answer, type Context, choiceFlag, hint, isSet, numberFlag } from '../context.ts';
import { CONFLICTS } from '../deploy-wish.ts';
import { deploymentFailure, failed, followDeployment } from '../ended-work.ts';
import { placeOf } from '../names.ts';

export async function run(context: Context): Promise<number> {
  const place = placeOf(context.args);
  const client = context.client();
  const { flags, progress, signal } = context;
  const to = numberFlag(flags, 'to', '--to');
  const onConflict = choiceFlag(flags, 'onConflict', '--on-conflict', CONFLICTS) ?? 'refuse';
  const body = { ...place, onConflict, ...(to === undefined ? {} : { to }) };
  const where = `${place.component} in ${place.environment}`;
  progress.begin(`rolling back ${where}`);
  const after = context.json ? undefined : (await client.call('server.get', {}, { signal })).revision;
  const begun = await client.call('deployments.rollback', { body }, { signal });
  if (isSet(flags, 'detach')) return answer(context, begun, () => begun.id);
  context.onInterrupt(
    () => `the rollback goes on in the server; see kiln status, or end it: kiln cancel ${begun.id}`,
  );
  const deployment = await followDeployment(context, client, begun, after);
  const failure = deploymentFailure(deployment);
  progress.end(
    failure === undefined ? 'done' : 'failed',
    `${where}: release ${deployment.to} ${deployment.state}`,
  );
  if (failure !== undefined) return failed(context, failure);
  hint(context, `next: kiln status ${place.component}`);
  return answer(context, deployment, () => undefined);
}
