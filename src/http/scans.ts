import type { Answer } from '../api/contract.ts';
import { resolveImage } from '../catalog/resolve-image.ts';
import { KilnError } from '../domain/errors.ts';
import type { Verdict } from '../domain/finding.ts';
import type { ScanRun } from '../scan/scans.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { failureView, present } from './views.ts';

type ScanView = Answer<'scans.get'>;

export function serveScans(operations: Operations, { sboms, scans, store, clock }: HttpParts): void {
  operations.json('images.sbom', async ({ params }, { signal }) => {
    const image = await resolveImage(store, params.reference);
    return JSON.parse(await sboms.of(image, signal));
  });

  operations.json('images.findings', async ({ params }) =>
    verdictView(await scans.verdict(await resolveImage(store, params.reference))),
  );

  operations.begins('scans.start', {
    async begin({ body }, { actor }) {
      const image = body.image === undefined ? undefined : await resolveImage(store, body.image);
      const { advisories } = body;
      const run = scans.start({ ...present({ image, advisories }), actor: actor.name });
      const change = { actor: actor.name, atMs: clock.now() };
      await store.audit.append('scan.start', run.id, { ...body }, change);
      return scanView(run);
    },
    ended: ({ state }) => state !== 'running',
    wait: async ({ id }, timeoutMs, signal) => scanView(await scans.wait(id, timeoutMs, signal)),
  });

  operations.json('scans.get', async ({ params, query }, { signal }) =>
    scanView(await scans.wait(params.id, query.wait * 1000, signal)),
  );

  operations.json('waivers.list', async () => ({ items: [...(await store.findings.waivers())] }));

  operations.json('waivers.create', async ({ body }, { actor, attempt }) => {
    const atMs = clock.now();
    if (body.expiresAtMs <= atMs) {
      throw new KilnError('input.invalid', 'A waiver cannot end in the past.', {
        next: 'Give a date that is still to come.',
      });
    }
    const { component, ...rest } = body;
    const change = { actor: actor.name, atMs, ...present({ attempt }) };
    return store.findings.waive({ ...rest, ...present({ component }) }, change);
  });

  operations.json('waivers.delete', async ({ params }, { actor, attempt }) => {
    const change = { actor: actor.name, atMs: clock.now(), ...present({ attempt }) };
    await store.findings.endWaiver(params.id, change);
    return { deleted: true } as const;
  });
}

function scanView({ images, failure, ...run }: ScanRun): ScanView {
  return {
    ...run,
    images: images.map(({ image: { id, component, version }, verdict, groups }) => ({
      image: { id, component, version },
      verdict: verdictView(verdict),
      groups,
    })),
    ...(failure === undefined ? {} : { failure: failureView(failure) }),
  };
}

function verdictView({ passed, blocking, waived, noted }: Verdict): Answer<'images.findings'> {
  return { passed, blocking, waived, noted };
}
