/**
 * From a folder to live traffic. Each step asks first whether it is done already, so that a second run with
 * nothing changed says so and changes nothing.
 */
import path from 'node:path';
import type { Client } from '../../api/client.ts';
import type { Answer } from '../../api/contract.ts';
import { channelName, type EnvironmentName, environmentName } from '../../domain/ids.ts';
import { answer, type Context, hint, textFlag } from '../context.ts';
import { bakeFailure, checkFailure, deploymentFailure } from '../ended-work.ts';
import { environmentPath } from '../names.ts';
import { ensureServer } from '../start-server.ts';
import { durationText } from '../time.ts';
import { bakeFolder } from './bake.ts';
import { checkIt } from './check.ts';
import { deployTo } from './deploy.ts';

type Image = Answer<'images.get'>;

const DEFAULT_ENVIRONMENTS = 'stage/local,live/local';

export async function run(context: Context): Promise<number> {
  const startedMs = performance.now();
  const directory = path.resolve(context.args[0] ?? '.');
  const environments = (textFlag(context.flags, 'environment') ?? DEFAULT_ENVIRONMENTS)
    .split(',')
    .map(environmentName);
  const started = await ensureServer(context);
  const journey = new Journey(context, context.client());
  const image = await journey.bake(directory);
  await journey.checkImage(image);
  await journey.promote(image, 'candidate');
  const last = environments.length - 1;
  for (const [index, environment] of environments.entries()) {
    if (index === last && last > 0) await journey.promote(image, 'proven');
    const changed = await journey.deploy(image, environment);
    if (index < last) await journey.checkService(image, environment, changed);
  }
  context.onInterrupt(() => 'interrupted');
  const services = await journey.services(image, environments);
  const tookMs = performance.now() - startedMs;
  const { component, version, id } = image;
  const changed = journey.changed || started;
  const result = {
    component,
    version,
    image: id,
    changed,
    serverStarted: started,
    services,
    tookMs: Math.round(tookMs),
  };
  answer(context, result, () => addresses(context, services));
  const name = `${component}@${version}`;
  if (!context.json) {
    const said = changed ? `${name} is live` : `nothing to do: ${name} is live, and nothing changed`;
    context.terminal.err(`${said} (${durationText(tookMs)})`);
  }
  hint(
    context,
    `next: kiln open (the live page); kiln status; kiln logs ${component} ${environments.at(-1)} -f; kiln down`,
  );
  return 0;
}

interface UpService {
  readonly environment: EnvironmentName;
  readonly urls: readonly string[];
  /** The same for clients that cannot resolve `*.localhost`. */
  readonly curl: readonly string[];
}

class Journey {
  changed = false;
  readonly #context: Context;
  readonly #client: Client;

  constructor(context: Context, client: Client) {
    this.#context = context;
    this.#client = client;
  }

  async bake(directory: string): Promise<Image> {
    const { flags, signal } = this.#context;
    const version = textFlag(flags, 'version');
    const bake = await bakeFolder(this.#context, this.#client, { directory, version, verify: false });
    const failure = bakeFailure(bake);
    if (failure !== undefined) throw failure;
    if (bake.state === 'baked') this.changed = true;
    this.#context.onInterrupt(() => 'stopped after what was begun; run kiln up again to go on');
    const params = { reference: bake.image?.id ?? '' };
    return await this.#client.call('images.get', { params }, { signal });
  }

  async checkImage(image: Image): Promise<void> {
    const name = `${image.component}@${image.version}`;
    if (image.tested) return this.#same(`checked already: ${name}`);
    await this.#check({ image: image.id }, name);
  }

  /** What serves there has been checked already when nothing was deployed and its last check there passed. */
  async checkService(image: Image, environment: EnvironmentName, deployed: boolean): Promise<void> {
    const { component } = image;
    const last = image.checks.findLast((check) => check.where === environment);
    const name = `${component} in ${environment}`;
    if (!deployed && last?.passed) return this.#same(`checked already: ${name}`);
    await this.#check({ component, environment }, name);
  }

  async promote(image: Image, channel: string): Promise<void> {
    const params = { component: image.component, channel: channelName(channel) };
    const body = { image: image.id, why: 'kiln up' };
    const { moved } = await this.#client.call(
      'channels.promote',
      { params, body },
      { signal: this.#context.signal },
    );
    if (!moved) return this.#same(`${image.component}:${channel} holds it already`);
    this.changed = true;
    this.#context.progress.end('done', `promoted to ${image.component}:${channel}`);
  }

  async deploy(image: Image, environment: EnvironmentName): Promise<boolean> {
    const wish = { component: image.component, environment, image: image.id };
    const { deployment } = await deployTo(this.#context, this.#client, wish, 'refuse');
    if (deployment === undefined) return false;
    this.changed = true;
    const failure = deploymentFailure(deployment);
    if (failure !== undefined) throw failure;
    return true;
  }

  services(image: Image, environments: readonly EnvironmentName[]): Promise<readonly UpService[]> {
    return Promise.all(
      environments.map(async (environment) => {
        const params = environmentPath({ component: image.component, environment });
        const service = await this.#client.call('services.get', { params }, { signal: this.#context.signal });
        return { environment, urls: service.urls, curl: service.urls.map(curlLine) };
      }),
    );
  }

  async #check(body: Parameters<typeof checkIt>[2], name: string): Promise<void> {
    this.changed = true;
    const run = await checkIt(this.#context, this.#client, body, name);
    const failure = checkFailure(run);
    if (failure !== undefined) throw failure;
  }

  #same(text: string): void {
    this.#context.progress.end('same', text);
  }
}

function curlLine(url: string): string {
  const { port, hostname } = new URL(url);
  return `curl -H 'Host: ${hostname}' http://127.0.0.1${port === '' ? '' : `:${port}`}/`;
}

function addresses({ terminal: { colors } }: Context, services: readonly UpService[]): string {
  return services
    .flatMap(({ environment, urls, curl }) => [
      `${colors.bold(environment)}`,
      ...urls.map((url) => `  ${colors.cyan(url)}`),
      ...curl.map((line) => `  ${colors.dim(line)}`),
    ])
    .join('\n');
}
