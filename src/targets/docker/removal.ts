import { z } from 'zod';
import { type EngineClient, filters, isRefusal } from '../../docker/engine-client.ts';
import type { ServiceKey } from '../../domain/ids.ts';
import { LABEL } from './container-body.ts';

const volumesShape = z.object({ Volumes: z.array(z.object({ Name: z.string() })).nullish() });

/** All volumes of a service that this Kiln made. */
export async function removeVolumes(
  client: EngineClient,
  { owner, service }: { readonly owner: string; readonly service: ServiceKey },
  signal: AbortSignal,
): Promise<void> {
  const query = filters({ label: [`${LABEL.owner}=${owner}`, `${LABEL.service}=${service}`] });
  const { Volumes } = await client.json(volumesShape, { method: 'GET', path: '/volumes', query, signal });
  for (const { Name } of Volumes ?? []) {
    await gone(client.send({ method: 'DELETE', path: `/volumes/${encodeURIComponent(Name)}`, signal }));
  }
}

/** What has gone already is as good as removed. */
export async function gone(removal: Promise<void>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if (!isRefusal(error, 404)) throw error;
  }
}
