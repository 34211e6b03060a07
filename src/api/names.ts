/** Names and pages as they stand in paths, queries and bodies. The rules themselves are the domain's. */
import { z } from '@hono/zod-openapi';
import {
  type BakeId,
  type ComponentName,
  channelName,
  componentName,
  type DeploymentId,
  type Digest,
  type EnvironmentName,
  environmentName,
  type ImageId,
  type InstanceId,
  isEnvironmentName,
  isName,
  type ProcessName,
} from '../domain/ids.ts';

const NAME_RULE =
  'lower-case letters, digits and single dashes, beginning with a letter, at most 40 characters';

const name = z
  .string()
  .max(40)
  .refine(isName, { error: `expected ${NAME_RULE}` });

export const componentNameText = name
  .transform((text): ComponentName => componentName(text))
  .openapi({
    description: 'Name of a component',
    example: 'storefront',
  });

export const channelNameText = name.transform(channelName).openapi({
  description: 'Name of a channel; never an environment',
  example: 'proven',
});

export const environmentNameText = z
  .string()
  .max(40)
  .refine(isEnvironmentName, { error: 'expected level/region, such as stage/uk' })
  .transform((text): EnvironmentName => environmentName(text))
  .openapi({ description: 'level/region', example: 'stage/uk' });

/** One half of an environment's name, as two segments of a path hold it. */
const levelOrRegion = name;
export const environmentPath = {
  level: levelOrRegion.openapi({ description: 'Level of the environment', example: 'stage' }),
  region: levelOrRegion.openapi({ description: 'Region of the environment', example: 'uk' }),
};

export const imageReferenceText = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[\w][\w.@:+~-]*$/, {
    error: 'expected component@version, component:channel, an image id or the beginning of one',
  })
  .openapi({
    description: '`storefront@1.2.0`, `storefront:proven`, an image id, or an unambiguous beginning of one',
    example: 'storefront@1.2.0',
  });

export const versionText = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[\w][\w.+~-]*$/, { error: 'expected letters, digits and . _ + ~ -' })
  .openapi({ description: 'Version of a component', example: '1.2.0' });

export const identifier = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[\w][\w.-]*$/, { error: 'expected an id' });

/** Ids in paths: any text of their shape; whether there is such a thing is found when it is looked for. */
export const bakeIdText = identifier.transform((text) => text as BakeId);
export const deploymentIdText = identifier.transform((text) => text as DeploymentId);

/** Ids in answers: the server made them, so they are only named here, not checked. */
export const imageId = z.custom<ImageId>().openapi({ type: 'string', description: 'Id of an image' });
export const bakeId = z.custom<BakeId>().openapi({ type: 'string', description: 'Id of a bake' });
export const deploymentId = z.custom<DeploymentId>().openapi({ type: 'string' });
export const instanceId = z.custom<InstanceId>().openapi({ type: 'string' });
export const processName = z.custom<ProcessName>().openapi({ type: 'string', example: 'web' });
export const digestText = z
  .custom<Digest>()
  .openapi({ type: 'string', pattern: '^sha256:[0-9a-f]{64}$', description: 'Digest' });
export const releaseNumber = z.int().min(1).openapi({ description: 'Number of a release', example: 12 });
export const atMs = z.number().openapi({ description: 'Unix time in milliseconds' });

const LIMIT_MAX = 200;
const LIMIT_DEFAULT = 50;

export const pageQuery = {
  limit: z.coerce.number<number>().int().min(1).max(LIMIT_MAX).default(LIMIT_DEFAULT).openapi({
    type: 'integer',
    description: 'Most items to answer',
  }),
  cursor: z.string().min(1).max(500).optional().openapi({ description: 'From the previous page' }),
};

export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    cursor: z
      .string()
      .optional()
      .openapi({ description: 'Pass it to get the next page; absent on the last' }),
  });
}

export const WAIT_MAX_SECONDS = 60;

/** How long an answer may wait for the end of what it is about. */
export const waitQuery = {
  wait: z.coerce.number<number>().min(0).max(WAIT_MAX_SECONDS).default(0).openapi({
    type: 'number',
    description: 'Seconds to wait for it to end before answering what it is then',
  }),
};

/** The rules of keys and values are the domain's (`domain/image-tags.ts`). */
export const tagKey = z.string().min(1).max(128);
export const tagValue = z.string().min(1).max(200);

export const why = z
  .string()
  .min(1)
  .max(500)
  .openapi({ description: 'The reason, for the history', example: 'checks passed in stage/local' });
