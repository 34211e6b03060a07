import type { Answer } from '../api/contract.ts';
import type { RebakeStep } from '../catalog/rebake-plan.ts';
import type { RebakeStatus } from '../catalog/rebakes.ts';
import { resolveImage } from '../catalog/resolve-image.ts';
import type { Image } from '../domain/image.ts';
import type { RebakeRecord } from '../domain/rebake.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { present } from './views.ts';

type Rebakes = Answer<'rebakes.list'>;

export function serveRebakes(operations: Operations, { store, rebakes }: HttpParts): void {
  operations.json('rebakes.list', async () => ({
    items: (await rebakes.status()).map(statusView),
    recent: (await rebakes.recent()).map(recordView),
  }));

  operations.json('rebakes.retry', async ({ params }, { actor }) => {
    const image = await resolveImage(store, params.reference);
    return { retried: await rebakes.retry(image, actor.name) };
  });
}

function statusView({ image, base, step, onto, made, running }: RebakeStatus): Rebakes['items'][number] {
  return {
    image: nameOf(image),
    base,
    state: step.kind,
    running,
    ...present({ onto: onto && nameOf(onto), made: made && nameOf(made) }),
    ...explained(step, image),
  };
}

function explained(
  step: RebakeStep,
  { source }: Image,
): Pick<Rebakes['items'][number], 'why' | 'next' | 'unmet'> {
  switch (step.kind) {
    case 'waits':
      return { why: step.why };
    case 'failed':
      return { why: step.why, ...present({ next: step.next }) };
    case 'elsewhere':
      return { why: `its source is on ${source?.host ?? 'another machine'}, whose server bakes it` };
    case 'held':
      return { unmet: [...step.unmet].map(([channel, demands]) => ({ channel, demands })) };
    default:
      return {};
  }
}

function recordView({ image, onto, outcome, atMs }: RebakeRecord): Rebakes['recent'][number] {
  const failed = outcome.kind === 'failed' ? outcome.message : undefined;
  return { image, onto, ...present({ made: outcome.made, failed }), atMs };
}

function nameOf({ id, component, version }: Image): Rebakes['items'][number]['image'] {
  return { id, component, version };
}
