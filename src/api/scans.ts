import { z } from '@hono/zod-openapi';
import { imageReferenceText } from './names.ts';

/** As https://cyclonedx.org/docs/1.6/json/ has it; only what Kiln itself relies on is said here. */
const sbomView = z
  .looseObject({
    bomFormat: z.literal('CycloneDX'),
    specVersion: z.string(),
    components: z.array(z.looseObject({ name: z.string(), version: z.string(), purl: z.string() })),
  })
  .openapi('Sbom');

export const scans = {
  'images.sbom': {
    params: z.strictObject({ reference: imageReferenceText }),
    answer: sbomView,
  },
};
