/** A small service on its way, with a server that dies at every point of each of its phases. */
import { expect } from 'vitest';
import { startLoad } from '../e2e/kiln.ts';
import type { LoadReport } from '../e2e/load-client.ts';
import { CHANNEL, ENVIRONMENT } from './crash-component.ts';
import { CrashKiln, type CrashKilnOptions, type DeploymentView, type ServiceView } from './crash-kiln.ts';
import type { Layer, Moment } from './crash-points.ts';

const LOAD = { connections: 4, newPerSecond: 20, pauseMs: 20 };

type Load = Awaited<ReturnType<typeof startLoad>>;

interface Bake {
  readonly id: string;
  readonly state: string;
  readonly image?: { readonly id: string };
  readonly failure?: unknown;
}

interface Promotion {
  readonly moved: boolean;
  readonly move: { readonly image: string; readonly previous?: string; readonly atMs: number };
}

/** What a phase did before the server died or it ended. */
type Phase = () => Promise<void>;

export interface Sweep {
  readonly layer: Layer;
  /** Which moments are tried at this point; none leaves it out. */
  readonly moments: (point: number) => readonly Moment[];
}

export class CrashJourney {
  readonly crash: CrashKiln;
  private readonly loads = new Set<Load>();
  private images: readonly string[] = [];

  private constructor(crash: CrashKiln) {
    this.crash = crash;
  }

  static async begin(options: CrashKilnOptions): Promise<CrashJourney> {
    return new CrashJourney(await CrashKiln.create(options));
  }

  /** Two proven images; the first serves, under load from now on. */
  async prepare(): Promise<void> {
    const { crash } = this;
    await crash.start();
    await this.token('reader');
    for (const text of ['first', 'second']) this.images = [...this.images, await this.provenImage(text)];
    await this.deploy();
    await crash.settled();
    await this.startLoad();
  }

  get imageIds(): readonly string[] {
    return this.images;
  }

  /** The phase again and again, dying one point later each time, until it ends without passing so many. */
  async dieAtEachPoint(phase: Phase, { layer, moments }: Sweep, reset?: Phase): Promise<number> {
    for (let at = 1; ; at += 1) {
      for (const moment of moments(at)) {
        await this.crash.arm({ layer, at, moment });
        await phase();
        const passed = this.crash.hasDied() ? undefined : await this.crash.disarm();
        if (passed !== undefined) return passed;
        await this.crash.start();
        await this.verify(`died ${moment} point ${at} of ${layer}`);
        await reset?.();
      }
    }
  }

  /** Dies right after acts that were passed and, their number having shifted, were never died at. */
  async dieAtMissedActs(phase: Phase): Promise<readonly string[]> {
    const missed = await this.missedActs();
    for (const name of missed) {
      await this.crash.arm({ layer: 'acts', at: 1, moment: 'after', name });
      await phase();
      if ((await this.crash.disarm()) === undefined) await this.crash.start();
      await this.verify(`died after ${name}`);
    }
    return this.missedActs();
  }

  private async missedActs(): Promise<readonly string[]> {
    const { passed, died } = await this.crash.points();
    return [...passed].filter((name) => !died.includes(`after ${name}`));
  }

  /** A release of the image that does not serve, until all has settled or the server has died. */
  deploy = async (): Promise<void> => {
    const serving = (await this.crash.service())?.serving?.image;
    const image = this.images.find((one) => one !== serving);
    const wish = { component: this.crash.component, environment: ENVIRONMENT, image };
    const answer = await this.crash.call<{ deployment?: DeploymentView }>('POST', '/deployments', wish);
    await this.followed(answer?.status, answer?.body.deployment, answer?.body);
  };

  rollback = async (): Promise<void> => {
    const wish = { component: this.crash.component, environment: ENVIRONMENT };
    const answer = await this.crash.call<DeploymentView & { code?: string }>('POST', '/rollbacks', wish);
    // Each goes further back than the one before it, and the first release is the end of that.
    if (answer?.body.code === 'rollback.nothing') return this.deploy();
    await this.followed(answer?.status, answer?.body, answer?.body);
  };

  private async followed(
    status: number | undefined,
    begun: DeploymentView | undefined,
    body: unknown,
  ): Promise<void> {
    if (status === undefined) return;
    // A crash may have left the very release that is asked for now serving already.
    if (status === 200 && begun === undefined) return;
    if (begun === undefined || status >= 400) throw new Error(`it was refused: ${JSON.stringify(body)}`);
    this.crash.acknowledged.deployment(begun.id, begun.to);
    await this.crash.settledOrDied();
  }

  /** What must hold whenever a server has come back: nothing acknowledged lost, work finished, one release serves. */
  async verify(when: string): Promise<ServiceView> {
    const { crash } = this;
    const service = await crash.settled().catch((cause: unknown) => {
      throw new Error(when, { cause });
    });
    expect(await crash.lost(), when).toEqual([]);
    const deployments = await crash.call<{ items: readonly DeploymentView[] }>(
      'GET',
      `/deployments?component=${crash.component}&limit=3`,
    );
    const states = deployments?.body.items.map((one) => `${one.state} ${one.failure?.message ?? ''}`.trim());
    expect(new Set(states), when).toEqual(new Set(['deployed']));
    expect(service.serving?.release, when).toBe(deployments?.body.items[0]?.to);
    const answer = await crash.kiln.ask(crash.host);
    expect(answer.headers.get('x-release'), when).toBe(String(service.serving?.release));
    return service;
  }

  async provenImage(text: string): Promise<string> {
    const image = await this.bake(text);
    if (image === undefined) throw new Error('the server died while it baked');
    await this.check(image);
    await this.promote(image);
    return image;
  }

  /** Undefined when the server died. */
  async bake(text: string): Promise<string | undefined> {
    const { crash } = this;
    const directory = await crash.source(text);
    const begun = await crash.call<Bake>('POST', '/bakes', { directory, version: text });
    if (begun === undefined) return undefined;
    const ended = await crash.call<Bake>('GET', `/bakes/${begun.body.id}?wait=60`);
    if (ended === undefined) return undefined;
    const image = ended.body.image?.id;
    if (image === undefined) throw new Error(`the bake failed: ${JSON.stringify(ended.body)}`);
    crash.acknowledged.image(image);
    return image;
  }

  /** False when the server died. */
  async check(image: string): Promise<boolean> {
    const { crash } = this;
    const begun = await crash.call<Bake>('POST', '/checks', { image });
    if (begun === undefined) return false;
    const ended = await crash.call<Bake>('GET', `/checks/${begun.body.id}?wait=60`);
    if (ended === undefined) return false;
    if (ended.body.state !== 'passed')
      throw new Error(`the check did not pass: ${JSON.stringify(ended.body)}`);
    return true;
  }

  /** False when the server died. */
  async promote(image: string): Promise<boolean> {
    const { crash } = this;
    const place = `/channels/${crash.component}/${CHANNEL}`;
    const answer = await crash.call<Promotion>('POST', place, { image });
    if (answer === undefined) return false;
    if (answer.status !== 200) throw new Error(`it was not promoted: ${JSON.stringify(answer.body)}`);
    if (answer.body.moved) crash.acknowledged.promotion(answer.body.move);
    return true;
  }

  /** Undefined when the server died. */
  async token(name: string): Promise<string | undefined> {
    const { crash } = this;
    const answer = await crash.call<{ token: { id: string }; secret: string }>('POST', '/tokens', {
      name,
      role: 'viewer',
    });
    if (answer === undefined) return undefined;
    if (answer.status !== 200) throw new Error(`no token was made: ${JSON.stringify(answer.body)}`);
    crash.acknowledged.token(answer.body.token.id, answer.body.secret);
    return answer.body.token.id;
  }

  /** Load until it is stopped, at the latest when the journey ends. */
  async startLoad(path = '/'): Promise<Load> {
    const load = await startLoad(await this.crash.address(), this.crash.host, { ...LOAD, path });
    this.loads.add(load);
    return load;
  }

  async stopLoad(load: Load): Promise<LoadReport> {
    this.loads.delete(load);
    return load.stop();
  }

  /** Stops all load: no request failed, and there were some. */
  async noRequestFailed(): Promise<void> {
    for (const load of this.loads) {
      const report = await this.stopLoad(load);
      expect(report.failures).toEqual({});
      expect(report.requests).toBeGreaterThan(0);
    }
  }

  async end(): Promise<void> {
    for (const load of this.loads) await this.stopLoad(load);
    await this.crash.destroy();
  }
}
