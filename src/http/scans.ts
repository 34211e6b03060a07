import { resolveImage } from '../catalog/resolve-image.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';

export function serveScans(operations: Operations, { sboms, store }: HttpParts): void {
  operations.json('images.sbom', async ({ params }, { signal }) => {
    const image = await resolveImage(store, params.reference);
    return JSON.parse(await sboms.of(image, signal));
  });
}
