import fc from 'fast-check';
import { expect, test } from 'vitest';
import { evidenceText } from './evidence-text.ts';
import { componentName, environmentName, type ImageId } from './ids.ts';
import type { KnownEvidence, ReleaseEvidence } from './release-evidence.ts';

function known(more: Partial<KnownEvidence> = {}): ReleaseEvidence {
  return {
    known: true,
    asked: { image: 'shop:proven' },
    image: {
      id: 'image-2' as ImageId,
      component: componentName('shop'),
      version: '2.0.0',
      commit: 'c0ffee0123456789',
      sizeBytes: 2_000,
      createdAtMs: 1,
    },
    channels: [],
    replaces: { kind: 'unasked' },
    checks: [],
    scan: { known: true, scanned: false },
    ...more,
  };
}

test('reads as a person would say it', () => {
  const before = { number: 7, image: 'image-1' as ImageId, version: '1.0.0', sizeBytes: 1_000 };
  const text = evidenceText(
    known({
      replaces: { kind: 'release', environment: environmentName('live/uk'), stopped: false, ...before },
      refused: 'live/uk takes only images of the channel proven.',
      checks: [
        {
          id: 'c',
          kind: 'smoke',
          where: 'stage/uk',
          passed: false,
          passedCount: 1,
          failedCount: 1,
          failures: ['GET / was 503'],
          atMs: 1,
        },
      ],
      config: { known: true, added: ['db_url'], removed: [], changed: ['greeting'], files: [] },
      settings: { known: true, items: [{ key: 'processes.web.instances.desired', from: '1', to: '3' }] },
      inside: {
        known: true,
        packages: { count: 0, items: [] },
        files: { count: 30, items: [{ path: 'app/server.js', change: 'content' }] },
      },
    }),
  );
  expect(text).toEqual([
    'shop 2.0.0 (c0ffee012345) to live/uk: 1.0.0 of release 7 serves there now',
    '  refused   live/uk takes only images of the channel proven.',
    '  check     smoke at stage/uk: FAILED (1 passed, 1 failed)',
    '            GET / was 503',
    '  scan      it was never scanned',
    '  channels  none holds it',
    '  config    added    db_url',
    '  config    changed  greeting',
    '  setting   processes.web.instances.desired: 1 → 3',
    '  size      1.0 kB → 2.0 kB',
    '  packages  the same',
    '  file      content  app/server.js',
    '  file      …and 29 more',
  ]);
});

test('says why where something is not known, and never nothing', () => {
  const why = 'the disk is full';
  const parts = ['scan', 'config', 'settings', 'inside'] as const;
  for (const part of parts) {
    const text = evidenceText(known({ [part]: { known: false, why } })).join('\n');
    expect(text).toMatch(new RegExp(`${part} +not known: the disk is full`));
  }
  expect(evidenceText({ known: false, asked: { image: 'shop@9', environment: 'live/uk' }, why })).toEqual([
    'shop@9 to live/uk: nothing is known of it: the disk is full',
  ]);
});

test('nothing out of an image reaches a terminal but printable text, a bounded line each', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 500 }), (text) => {
      const files = { count: 1, items: [{ path: text, change: 'added' as const }] };
      const packages = { count: 1, items: [{ key: text, to: text }] };
      for (const line of evidenceText(known({ inside: { known: true, files, packages } }))) {
        expect(line).not.toMatch(/\p{Cc}/u);
        expect(line.length).toBeLessThanOrEqual(301);
      }
    }),
  );
});
