import { KilnError } from '../domain/errors.ts';
import { environmentName } from '../domain/ids.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { present, releaseView } from './views.ts';

export function serveReleases(operations: Operations, { store }: HttpParts): void {
  operations.json('releases.list', async ({ query }) => {
    const { component, environment, limit, cursor } = query;
    const page = await store.releases.list(present({ component, environment }), present({ limit, cursor }));
    return { ...page, items: page.items.map(releaseView) };
  });

  operations.json('releases.get', async ({ params }) => {
    const environment = environmentName(`${params.level}/${params.region}`);
    const release = await store.releases.get(params.component, environment, params.number);
    if (release !== undefined) return releaseView(release);
    throw new KilnError(
      'not-found',
      `${params.component} has no release ${params.number} in ${environment}.`,
      {
        next: `Run: kiln releases ${params.component} ${environment}`,
      },
    );
  });
}
