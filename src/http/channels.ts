import type { Answer } from '../api/contract.ts';
import { goBack } from '../catalog/go-back.ts';
import { promote } from '../catalog/promote.ts';
import { resolveImage } from '../catalog/resolve-image.ts';
import { NO_DEMANDS } from '../domain/channel-demands.ts';
import type { ChannelMove } from '../domain/image.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { present } from './views.ts';

type MoveView = Answer<'channels.promote'>['move'];

export function serveChannels(operations: Operations, { store, clock }: HttpParts): void {
  const withVersions = async (moves: readonly ChannelMove[]): Promise<readonly MoveView[]> => {
    const ids = [...new Set(moves.map((move) => move.image))];
    const images = await Promise.all(ids.map((id) => store.images.get(id)));
    const found = new Map(ids.map((id, index) => [id, images[index]]));
    return moves.map((move) => {
      const { version = 'swept', revoked } = found.get(move.image) ?? {};
      return { ...move, version, ...present({ revoked }) };
    });
  };

  operations.json('channels.list', async ({ query }) => ({
    items: await withVersions(await store.channels.list(query.component)),
  }));

  operations.json('channels.history', async ({ params }) => ({
    items: await withVersions(await store.channels.history(params.component, params.channel)),
  }));

  operations.json('channels.policy', async ({ params }) => {
    return (await store.channelPolicies.get(params.component, params.channel)) ?? NO_DEMANDS;
  });

  operations.json('channels.setPolicy', async ({ params, body }, { actor, attempt }) => {
    const { checks, approvals, after } = body;
    const policy = { checks, approvals, ...present({ after }) };
    const change = { actor: actor.name, atMs: clock.now(), ...present({ attempt }) };
    await store.channelPolicies.set(params.component, params.channel, policy, change);
    return policy;
  });

  operations.json('channels.approve', async ({ params, body }, { actor, attempt }) => {
    const { component, channel } = params;
    const image = await resolveImage(store, body.image);
    const change = { actor: actor.name, atMs: clock.now(), ...present({ attempt }) };
    await store.channelPolicies.approve(component, channel, image.id, body.why, change);
    return { approvals: await store.channelPolicies.approvals(component, channel, image.id) };
  });

  operations.json(
    'channels.back',
    async ({ params, body }, { actor, attempt }) => {
      const expected =
        body.expected === undefined ? undefined : (await resolveImage(store, body.expected)).id;
      const why = body.why ?? `taken back by ${actor.name}`;
      const change = { actor: actor.name, atMs: clock.now(), ...present({ attempt }) };
      const { moved, move } = await goBack(store, { ...params, why, ...present({ expected }) }, change);
      const [shown] = await withVersions([move]);
      return { moved, move: shown ?? { ...move, version: 'swept' } };
    },
    {
      // Carried out anew, it would go further back.
      async recover(_made, { params }, { actor }) {
        const history = await store.channels.history(params.component, params.channel);
        const move = history.find((one) => one.by === actor.name);
        const [shown] = move === undefined ? [] : await withVersions([move]);
        return shown && { moved: true, move: shown };
      },
    },
  );

  operations.json(
    'channels.promote',
    async ({ params, body }, { actor, attempt }) => {
      const image = await resolveImage(store, body.image);
      const expected =
        body.expected === undefined ? undefined : (await resolveImage(store, body.expected)).id;
      const why = body.why ?? `promoted by ${actor.name}`;
      const { moved, move } = await promote(
        store,
        { ...params, image, why, ...present({ expected }) },
        { actor: actor.name, atMs: clock.now(), ...present({ attempt }) },
      );
      return { moved, move: { ...move, version: image.version } };
    },
    {
      // Carried out anew, it would move the channel back from where it was moved since.
      async recover(_made, { params, body }) {
        const { id, version } = await resolveImage(store, body.image);
        const history = await store.channels.history(params.component, params.channel);
        const move = history.find((one) => one.image === id);
        return move && { moved: true, move: { ...move, version } };
      },
    },
  );
}
