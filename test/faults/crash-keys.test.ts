/**
 * `kill -9` between the beginning and the end of a call that has an Idempotency-Key: asked again of the next server
 * with the same key, it is answered from what it made, and nothing is made twice.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHANNEL, ENVIRONMENT } from './crash-component.ts';
import { CrashJourney } from './crash-journey.ts';
import type { DeploymentView } from './crash-kiln.ts';
import type { Moment } from './crash-points.ts';

const LIMIT_MS = 300_000;
/** Nothing was made yet; it was made and not answered; it was answered, and the answer not kept. */
const DEATHS = (act: string): readonly (readonly [Moment, string])[] => [
  ['before', act],
  ['after', act],
  ['before', 'store.idempotency.finish'],
];

describe('a server that dies before it has answered a call with a key', () => {
  let journey: CrashJourney;
  let first = '';
  let second = '';
  let calls = 0;

  beforeAll(async () => {
    journey = await CrashJourney.begin({
      strategy: 'blue-green',
      keepWarm: '10m',
      instances: 1,
      worker: false,
    });
    await journey.prepare();
    [first = '', second = ''] = journey.imageIds;
  }, LIMIT_MS);
  afterAll(() => journey?.end());

  /** Dies there; the next server answers the same call with the same key, and then again. */
  async function askedAgain<Body>(
    [moment, name]: readonly [Moment, string],
    route: string,
    wish: object,
  ): Promise<{ readonly body: Body; readonly replayed: boolean }> {
    const { crash } = journey;
    calls += 1;
    const headers = { 'idempotency-key': `call-${calls}` };
    await crash.arm({ layer: 'acts', at: 1, moment, name });
    expect(await crash.call('POST', route, wish, headers)).toBeUndefined();
    await crash.start();
    const answers: Response[] = [];
    for (let again = 0; again < 2; again += 1) {
      answers.push(await crash.kiln.call('POST', `/api/v1${route}`, wish, headers));
    }
    const bodies = await Promise.all(answers.map(async (answer) => (await answer.json()) as { id?: string }));
    const seen = `${moment} ${name}: ${JSON.stringify(bodies)}`;
    expect([200, 202], seen).toContain(answers[0]?.status);
    expect(answers[1]?.headers.get('idempotency-replayed'), seen).toBe('true');
    // The second time the first answer is given again, so what is looked at is that one.
    const replayed = answers[0]?.headers.get('idempotency-replayed') === 'true';
    return { body: bodies[0] as Body, replayed };
  }

  async function deployments(): Promise<readonly DeploymentView[]> {
    const { crash } = journey;
    const list = await crash.call<{ items: readonly DeploymentView[] }>(
      'GET',
      `/deployments?component=${crash.component}&limit=100`,
    );
    return list?.body.items ?? [];
  }

  test('a deploy', { timeout: LIMIT_MS }, async () => {
    const { component } = journey.crash;
    for (const [index, death] of DEATHS('store.deployments.create').entries()) {
      const before = (await deployments()).length;
      const image = index % 2 === 0 ? second : first;
      const wish = { component, environment: ENVIRONMENT, image };
      const { body, replayed } = await askedAgain<{ deployment: DeploymentView }>(
        death,
        '/deployments',
        wish,
      );
      await journey.verify(`deploy, ${death.join(' ')}`);
      const now = await deployments();
      expect(now.map(({ id }) => id)).toContain(body.deployment.id);
      expect([now.length - before, replayed], death.join(' ')).toEqual([1, index > 0]);
    }
  });

  test('a rollback, which never goes back twice', { timeout: LIMIT_MS }, async () => {
    const { component } = journey.crash;
    for (const [index, death] of DEATHS('store.deployments.create').entries()) {
      await journey.deploy();
      const before = await journey.verify('before the rollback');
      const length = (await deployments()).length;
      const wish = { component, environment: ENVIRONMENT };
      const { body, replayed } = await askedAgain<DeploymentView>(death, '/rollbacks', wish);
      const after = await journey.verify(`rollback, ${death.join(' ')}`);
      expect(after.serving?.release, death.join(' ')).toBe(body.to);
      expect(body.to).toBeLessThan(before.serving?.release ?? 0);
      expect([(await deployments()).length - length, replayed], death.join(' ')).toEqual([1, index > 0]);
    }
  });

  test('a promotion, and a token', { timeout: LIMIT_MS }, async () => {
    const { crash } = journey;
    const place = `/channels/${crash.component}/${CHANNEL}`;
    const history = async (): Promise<number> =>
      (await crash.call<{ items: readonly unknown[] }>('GET', place))?.body.items.length ?? 0;
    const tokens = async (): Promise<number> =>
      (await crash.call<{ items: readonly unknown[] }>('GET', '/tokens'))?.body.items.length ?? 0;
    for (const [index, death] of DEATHS('store.channels.move').entries()) {
      const moves = await history();
      const { body } = await askedAgain<{ moved: boolean }>(death, place, {
        image: index % 2 === 0 ? first : second,
      });
      expect([body.moved, (await history()) - moves], death.join(' ')).toEqual([true, 1]);
    }
    for (const death of DEATHS('store.tokens.create')) {
      const before = await tokens();
      const { body } = await askedAgain<{ token: object }>(death, '/tokens', { name: 'ci', role: 'viewer' });
      expect([typeof body.token, (await tokens()) - before], death.join(' ')).toEqual(['object', 1]);
    }
    await journey.verify('after the last of them');
  });
});
