import type { Answer } from '../api/contract.ts';
import { KilnError } from '../domain/errors.ts';
import { type ComponentName, type EnvironmentName, environmentName } from '../domain/ids.ts';
import { type StreamParts, streamAnswer } from './event-stream.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { present, serviceView } from './views.ts';

export function serveServices(operations: Operations, parts: StreamParts): void {
  const { services, deployer } = parts;

  operations.json('services.list', async ({ query }, { signal }) => {
    const [found, { listen }] = await Promise.all([
      services.list(present({ component: query.component }), signal),
      parts.router.status(signal),
    ]);
    return { items: found.map((status) => serviceView(status, listen)) };
  });

  operations.json('services.get', ({ params }, { signal }) =>
    required(parts, params.component, placeOf(params), signal),
  );

  operations.json(
    'services.stop',
    async ({ params }, { actor, attempt, signal }) => {
      const environment = placeOf(params);
      await required(parts, params.component, environment, signal);
      await deployer.stop(params.component, environment, actor.name, attempt);
      return required(parts, params.component, environment, signal);
    },
    // Carried out anew, it would stop what was deployed since.
    {
      recover: (_made, { params }, { signal }) => required(parts, params.component, placeOf(params), signal),
    },
  );

  operations.stream('services.logs', async ({ params, query }, { signal }) => {
    const environment = placeOf(params);
    await required(parts, params.component, environment, signal);
    const wanted = { tail: query.tail, follow: query.follow === 'true' };
    return streamAnswer(parts, 'application/x-ndjson', signal, async function* (ended) {
      for await (const line of services.logs(params.component, environment, wanted, ended))
        yield `${JSON.stringify(line)}\n`;
    });
  });
}

function placeOf({ level, region }: { readonly level: string; readonly region: string }): EnvironmentName {
  return environmentName(`${level}/${region}`);
}

async function required(
  { services, router }: HttpParts,
  component: ComponentName,
  environment: EnvironmentName,
  signal: AbortSignal,
): Promise<Answer<'services.get'>> {
  const [[found], { listen }] = await Promise.all([
    services.list({ component, environment }, signal),
    router.status(signal),
  ]);
  if (found !== undefined) return serviceView(found, listen);
  throw new KilnError('not-found', `${component} was never deployed to ${environment}.`, {
    next: `Run: kiln deploy ${component} ${environment}`,
  });
}
