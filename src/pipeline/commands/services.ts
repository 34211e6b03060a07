/**
 * Containers beside a command: made in a network of their own, waited for until they are healthy, always removed. What
 * a dead server has left is found by its label when the next one starts.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { type EngineClient, filters, isRefusal } from '../../docker/engine-client.ts';
import { KilnError } from '../../domain/errors.ts';
import { TaskFailed } from '../task.ts';
import type { ServiceWish } from './command-wish.ts';

const LABEL = 'kiln.command';
const POLL_MS = 200;
const REMOVE_LIMIT_MS = 60_000;
const NANOSECONDS = 1_000_000_000;

const made = z.object({ Id: z.string() });
const inspected = z.object({
  State: z.object({
    Status: z.string(),
    ExitCode: z.number(),
    Health: z.object({ Status: z.string() }).optional(),
  }),
  NetworkSettings: z.object({ Networks: z.record(z.string(), z.object({ IPAddress: z.string() })) }),
});
const containers = z.array(z.object({ Id: z.string() }));
const networks = z.array(z.object({ Id: z.string() }));

export class Services {
  readonly #engine: EngineClient;
  readonly #owner: string;

  constructor(engine: EngineClient, stateDirectory: string) {
    this.#engine = engine;
    this.#owner = createHash('sha256').update(stateDirectory).digest('hex').slice(0, 16);
  }

  /** Their addresses by name, once all are healthy. Fails with `Cmd.Service`. */
  async start(
    key: string,
    wished: Readonly<Record<string, ServiceWish>>,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, string>> {
    const label = this.#label(key);
    const network = await this.#engine.json(made, {
      method: 'POST',
      path: '/networks/create',
      body: { Name: `kiln-${label.replace('/', '-')}`, Driver: 'bridge', Labels: { [LABEL]: label } },
      signal,
    });
    const started = await Promise.all(
      Object.entries(wished).map(async ([name, wish]) => {
        const id = await this.#run(name, wish, { network: network.Id, label }, signal);
        return [name, await this.#healthy(name, wish, id, signal)] as const;
      }),
    );
    return new Map(started);
  }

  /** Whatever of it is there, however often it is asked; not ended by the task's own signal. */
  remove(key: string): Promise<void> {
    return this.#removeAll(`${LABEL}=${this.#label(key)}`);
  }

  /** Does nothing where no engine answers: then nothing of it runs. */
  async sweep(): Promise<void> {
    const signal = AbortSignal.timeout(REMOVE_LIMIT_MS);
    try {
      const all = filters({ label: [LABEL] });
      for (const [path, shape] of [
        ['/containers/json', labelled],
        ['/networks', labelled],
      ] as const) {
        const query = path === '/networks' ? all : { ...all, all: 'true' };
        for (const { Id, Labels } of await this.#engine.json(shape, { method: 'GET', path, query, signal })) {
          if (Labels?.[LABEL]?.startsWith(`${this.#owner}/`)) await this.#delete(path, Id, signal);
        }
      }
    } catch (error) {
      if (error instanceof KilnError && error.code === 'target.unavailable') return;
      throw error;
    }
  }

  #label(key: string): string {
    return `${this.#owner}/${createHash('sha256').update(key).digest('hex').slice(0, 16)}`;
  }

  async #run(
    name: string,
    wish: ServiceWish,
    { network, label }: { readonly network: string; readonly label: string },
    signal: AbortSignal,
  ): Promise<string> {
    const { image, environment, command, health } = wish;
    try {
      const { Id } = await this.#engine.json(made, {
        method: 'POST',
        path: '/containers/create',
        body: {
          Image: image,
          Env: Object.entries(environment).map(([variable, value]) => `${variable}=${value}`),
          Labels: { [LABEL]: label },
          ...(command !== undefined && { Cmd: command }),
          ...(health !== undefined && {
            Healthcheck: {
              Test: ['CMD-SHELL', health],
              Interval: NANOSECONDS,
              Timeout: 10 * NANOSECONDS,
              Retries: 1_000,
            },
          }),
          HostConfig: { NetworkMode: network, AutoRemove: false },
          NetworkingConfig: { EndpointsConfig: { [network]: { Aliases: [name] } } },
        },
        signal,
      });
      await this.#engine.send({ method: 'POST', path: `/containers/${Id}/start`, signal });
      return Id;
    } catch (error) {
      if (isRefusal(error, 404)) throw new TaskFailed('Cmd.Service', `${name}: ${error.message}`);
      throw error;
    }
  }

  async #healthy(name: string, wish: ServiceWish, id: string, signal: AbortSignal): Promise<string> {
    const until = performance.now() + wish.timeoutSeconds * 1_000;
    for (;;) {
      const path = `/containers/${id}/json`;
      const { State, NetworkSettings } = await this.#engine.json(inspected, { method: 'GET', path, signal });
      const { Status, ExitCode, Health } = State;
      if (Status === 'exited' || Status === 'dead')
        throw new TaskFailed('Cmd.Service', `The service ${name} ended with exit code ${ExitCode}.`);
      const address = Object.values(NetworkSettings.Networks)[0]?.IPAddress ?? '';
      if (Status === 'running' && address !== '' && (Health === undefined || Health.Status === 'healthy'))
        return address;
      if (performance.now() > until) {
        const state = Health?.Status ?? Status;
        throw new TaskFailed(
          'Cmd.Service',
          `The service ${name} was not ready within ${wish.timeoutSeconds} s: it is ${state}.`,
        );
      }
      await sleep(POLL_MS, undefined, { signal });
    }
  }

  async #removeAll(label: string): Promise<void> {
    const signal = AbortSignal.timeout(REMOVE_LIMIT_MS);
    const query = filters({ label: [label] });
    const all = { ...query, all: 'true' };
    const ours = { method: 'GET', signal } as const;
    for (const { Id } of await this.#engine.json(containers, {
      ...ours,
      path: '/containers/json',
      query: all,
    }))
      await this.#delete('/containers/json', Id, signal);
    for (const { Id } of await this.#engine.json(networks, { ...ours, path: '/networks', query }))
      await this.#delete('/networks', Id, signal);
  }

  async #delete(kind: '/containers/json' | '/networks', id: string, signal: AbortSignal): Promise<void> {
    const one =
      kind === '/networks'
        ? { path: `/networks/${id}` }
        : { path: `/containers/${id}`, query: { force: 'true', v: 'true' } };
    try {
      await this.#engine.send({ method: 'DELETE', ...one, signal });
    } catch (error) {
      // Gone already, or just being removed by somebody else.
      if (!isRefusal(error, 404) && !isRefusal(error, 409)) throw error;
    }
  }
}

const labelled = z.array(z.object({ Id: z.string(), Labels: z.record(z.string(), z.string()).nullish() }));
