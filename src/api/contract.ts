/** Every operation's schemas by its name in `routes.ts`. A type-level test of equality stands at the end. */
import type { z } from '@hono/zod-openapi';
import { audit } from './audit.ts';
import { bakes } from './bakes.ts';
import { catalogue } from './catalogue.ts';
import { channels } from './channels.ts';
import { checks } from './checks.ts';
import { deployments, plan } from './deployments.ts';
import { events } from './events.ts';
import { images } from './images.ts';
import { janitor } from './janitor.ts';
import { page } from './page.ts';
import { pauses } from './pauses.ts';
import { pipelineHealth } from './pipeline-health.ts';
import { pipelineLogs } from './pipeline-logs.ts';
import { pipelines } from './pipelines.ts';
import { rebakes } from './rebakes.ts';
import { registry } from './registry.ts';
import { releases } from './releases.ts';
import type { OperationName } from './routes.ts';
import { scans } from './scans.ts';
import { server } from './server.ts';
import { services } from './services.ts';
import { sources } from './sources.ts';
import { taskTokens } from './task-tokens.ts';
import { tokens } from './tokens.ts';
import { webhooks } from './webhooks.ts';
import { workers } from './workers.ts';

export interface OperationSchemas {
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** The whole answer; of a stream, each of its items. */
  readonly answer: z.ZodType;
}

export const CONTRACT = {
  ...audit,
  ...bakes,
  ...catalogue,
  ...channels,
  ...checks,
  ...deployments,
  ...events,
  ...images,
  ...janitor,
  ...page,
  ...pipelineHealth,
  ...pauses,
  ...pipelineLogs,
  ...pipelines,
  ...taskTokens,
  ...workers,
  ...plan,
  ...rebakes,
  ...registry,
  ...releases,
  ...scans,
  ...server,
  ...services,
  ...sources,
  ...tokens,
  ...webhooks,
} satisfies Record<OperationName, OperationSchemas>;

type Contract = typeof CONTRACT;

/** What the API answers is never changed by whoever gets it. */
type Frozen<Value> = unknown extends Value
  ? Value
  : Value extends string | number | boolean | null | undefined
    ? Value
    : { readonly [Key in keyof Value]: Frozen<Value[Key]> };

type Sent<Name extends OperationName, Part extends string> =
  Contract[Name] extends Record<Part, infer Schema extends z.ZodType> ? z.input<Schema> : undefined;
type Received<Name extends OperationName, Part extends string> =
  Contract[Name] extends Record<Part, infer Schema extends z.ZodType> ? z.output<Schema> : undefined;

/** What a caller gives: the parts an operation has, and no others. */
export type Call<Name extends OperationName> = {
  readonly [Part in Extract<keyof Contract[Name], 'params' | 'query' | 'body'>]: Frozen<Sent<Name, Part>>;
};

/** What a handler is given, validated, with its defaults. */
export type Input<Name extends OperationName> = {
  readonly params: Frozen<Received<Name, 'params'>>;
  readonly query: Frozen<Received<Name, 'query'>>;
  readonly body: Frozen<Received<Name, 'body'>>;
};

export type Answer<Name extends OperationName> = Frozen<z.output<Contract[Name]['answer']>>;
