import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { present } from './views.ts';

export function serveAudit(operations: Operations, { store }: HttpParts): void {
  operations.json('audit.list', ({ query }) =>
    store.audit.list(present({ limit: query.limit, cursor: query.cursor })),
  );

  operations.json('audit.verify', async () => {
    const firstBroken = await store.audit.firstBroken();
    return { whole: firstBroken === undefined, ...present({ firstBroken }) };
  });
}
