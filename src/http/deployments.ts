import type { Answer, Input } from '../api/contract.ts';
import { imageFor } from '../catalog/resolve-image.ts';
import type { Deployment } from '../domain/deployment.ts';
import { KilnError } from '../domain/errors.ts';
import type { DeploymentId } from '../domain/ids.ts';
import type { Release } from '../domain/release.ts';
import type { Operations } from './operations.ts';
import type { DeployWish, HttpParts } from './parts.ts';
import { deploymentView, present } from './views.ts';

type Wish = Pick<
  Input<'deployments.start'>['body'],
  'component' | 'environment' | 'image' | 'release' | 'strategy'
>;

export function serveDeployments(operations: Operations, parts: HttpParts): void {
  const { deployer, store } = parts;

  operations.begins('deployments.start', {
    async begin({ body }, { actor, attempt }) {
      const wish = await resolveWish(parts, body, actor.name);
      const outcome = await deployer.deploy({
        ...wish,
        onConflict: body.onConflict,
        ...present({ attempt }),
      });
      const { number: release, version } = outcome.release;
      if (outcome.kind === 'unchanged') return { changed: false, release, version };
      return answerOf(outcome.release, outcome.deployment);
    },
    async recover(made) {
      const deployment = await madeDeployment(parts, made);
      if (deployment === undefined) return undefined;
      const { component, environment, to } = deployment;
      const release = await store.releases.get(component, environment, to);
      return release && answerOf(release, deployment);
    },
    ended: ({ deployment }) => deployment === undefined || deploymentEnded(deployment),
    async wait(outcome, timeoutMs, signal) {
      if (outcome.deployment === undefined) return outcome;
      const deployment = await deployer.wait(outcome.deployment.id, timeoutMs, signal);
      return { ...outcome, deployment: deploymentView(deployment) };
    },
  });

  operations.begins('deployments.rollback', {
    async begin({ body }, { actor, attempt }) {
      const { component, environment, onConflict, to } = body;
      const request = { component, environment, onConflict, actor: actor.name, ...present({ to, attempt }) };
      return deploymentView(await deployer.rollback(request));
    },
    // Carried out anew, it would go back twice as far.
    async recover(made) {
      const deployment = await madeDeployment(parts, made);
      return deployment && deploymentView(deployment);
    },
    ended: deploymentEnded,
    wait: async ({ id }, timeoutMs, signal) => deploymentView(await deployer.wait(id, timeoutMs, signal)),
  });

  operations.json('plan.show', async ({ query }, { actor, signal }) => {
    const { component, environment } = query;
    const plan = await deployer.plan(await resolveWish(parts, query, actor.name), signal);
    return { component, environment, ...plan };
  });

  operations.json('deployments.list', async ({ query }) => {
    const { component, environment, limit, cursor } = query;
    const page = await store.deployments.list(
      present({ component, environment }),
      present({ limit, cursor }),
    );
    return { ...page, items: page.items.map(deploymentView) };
  });

  operations.json('deployments.get', async ({ params, query }, { signal }) => {
    const deployment = await required(parts, params.id);
    if (query.wait === 0 || deploymentEnded(deployment)) return deploymentView(deployment);
    return deploymentView(await deployer.wait(deployment.id, query.wait * 1000, signal));
  });

  operations.json(
    'deployments.cancel',
    async ({ params }, { actor, attempt, assertMayChange }) => {
      const deployment = await required(parts, params.id);
      assertMayChange(deployment.environment);
      await deployer.cancel(deployment.id, actor.name, attempt);
      return deploymentView(await required(parts, params.id));
    },
    { recover: async (_made, { params }) => deploymentView(await required(parts, params.id)) },
  );
}

function deploymentEnded(deployment: Pick<Answer<'deployments.get'>, 'state'>): boolean {
  return deployment.state !== 'queued' && deployment.state !== 'running';
}

function answerOf(
  { number, version }: Pick<Release, 'number' | 'version'>,
  deployment: Deployment,
): Answer<'deployments.start'> {
  return { changed: true, release: number, version, deployment: deploymentView(deployment) };
}

async function madeDeployment({ store }: HttpParts, made: string): Promise<Deployment | undefined> {
  return store.deployments.get(made as DeploymentId);
}

async function required({ store }: HttpParts, id: DeploymentId): Promise<Deployment> {
  const deployment = await store.deployments.get(id);
  if (deployment !== undefined) return deployment;
  throw new KilnError('not-found', `There is no deployment ${id}.`, { next: 'Run: kiln status' });
}

async function resolveWish({ store }: HttpParts, wish: Wish, actor: string): Promise<DeployWish> {
  const { component, environment, release, strategy } = wish;
  if (wish.image !== undefined && release !== undefined) {
    throw new KilnError('input.invalid', 'Both an image and a release are given.', {
      next: 'Give one of them, or neither for the newest image that may go there.',
    });
  }
  const rest = { component, environment, actor, ...present({ strategy }) };
  if (release !== undefined) return { ...rest, what: { release } };
  const image = await imageFor(store, component, environment, wish.image);
  if (image.component !== component) {
    throw new KilnError('input.invalid', `Image ${image.id} is of ${image.component}, not of ${component}.`, {
      next: `Choose an image of ${component}: kiln images ${component}`,
    });
  }
  return { ...rest, what: { image } };
}
