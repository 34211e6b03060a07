import { z } from '@hono/zod-openapi';
import { SEVERITIES } from '../domain/finding.ts';
import { atMs, componentNameText, identifier, imageId, imageReferenceText, waitQuery, why } from './names.ts';
import { failureView } from './problem.ts';

/** As https://cyclonedx.org/docs/1.6/json/ has it; only what Kiln itself relies on is said here. */
const sbomView = z
  .looseObject({
    bomFormat: z.literal('CycloneDX'),
    specVersion: z.string(),
    components: z.array(z.looseObject({ name: z.string(), version: z.string(), purl: z.string() })),
  })
  .openapi('Sbom');

const findingView = z
  .object({
    id: z.string().openapi({ example: 'GHSA-jf85-cpcp-j695' }),
    aliases: z.array(z.string()),
    severity: z.enum(SEVERITIES),
    summary: z.string(),
    where: z.string().optional().openapi({ description: 'Package URL, or a path in the image' }),
    fixedIn: z.string().optional(),
  })
  .openapi('Finding');

const waiverView = z
  .object({
    id: z.string(),
    finding: z.string(),
    component: componentNameText.optional(),
    why,
    by: z.string(),
    createdAtMs: atMs,
    expiresAtMs: atMs,
  })
  .openapi('Waiver');

const verdictView = z
  .object({
    passed: z.boolean(),
    blocking: z.array(findingView).openapi({ description: 'As bad as the policy forbids, and not waived' }),
    waived: z.array(z.object({ finding: findingView, waiver: waiverView })),
    noted: z.array(findingView),
  })
  .openapi('Verdict');

const scanView = z
  .object({
    id: z.string(),
    state: z.enum(['running', 'passed', 'failed', 'error']).openapi({
      description: '`failed`: something is worse than the policy allows; `error`: it could not be found out',
    }),
    scanned: z.int().openapi({ description: 'Images looked at' }),
    skipped: z.int().openapi({ description: 'Of these, those that cannot be looked into here' }),
    advisories: z.int(),
    images: z
      .array(
        z.object({
          image: z.object({ id: imageId, component: componentNameText, version: z.string() }),
          verdict: verdictView,
          groups: z.array(z.string()).openapi({ description: 'Server groups that run it' }),
        }),
      )
      .openapi({ description: 'Images with findings; of a single image, that one' }),
    startedAtMs: atMs,
    endedAtMs: atMs.optional(),
    failure: failureView.optional(),
  })
  .openapi('Scan');

const folder = z
  .string()
  .min(1)
  .max(4096)
  .refine((text) => text.startsWith('/') && !text.includes('\0'), { error: 'expected an absolute path' })
  .openapi({ description: 'Folder of advisories in the format of OSV, on the server’s machine' });

export const scans = {
  'images.sbom': {
    params: z.strictObject({ reference: imageReferenceText }),
    answer: sbomView,
  },
  'images.findings': {
    params: z.strictObject({ reference: imageReferenceText }),
    answer: verdictView,
  },
  'scans.start': {
    body: z
      .strictObject({
        image: imageReferenceText
          .optional()
          .openapi({ description: 'Absent: every image, by the advisories alone' }),
        advisories: folder.optional(),
      })
      .openapi('ScanRequest'),
    answer: scanView,
  },
  'scans.get': {
    params: z.strictObject({ id: identifier }),
    query: z.strictObject(waitQuery),
    answer: scanView,
  },
  'waivers.list': {
    answer: z.object({ items: z.array(waiverView) }).openapi('Waivers'),
  },
  'waivers.create': {
    body: z
      .strictObject({
        finding: z.string().min(1).max(200).openapi({ description: 'Id or alias of the finding' }),
        component: componentNameText.optional(),
        why,
        expiresAtMs: atMs,
      })
      .openapi('WaiverRequest'),
    answer: waiverView,
  },
  'waivers.delete': {
    params: z.strictObject({ id: identifier }),
    answer: z.object({ deleted: z.literal(true) }),
  },
};
