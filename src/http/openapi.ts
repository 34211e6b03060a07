/** The OpenAPI 3.1 document, made of the same table and schemas that requests are held to. */
import { createRoute, OpenAPIHono, z } from '@hono/zod-openapi';
import { CONTRACT, type OperationSchemas } from '../api/contract.ts';
import { PROBLEM_TYPE } from '../api/failures.ts';
import { problem } from '../api/problem.ts';
import type { RouteInfo } from '../api/route-info.ts';
import { API_ROOT, type OperationName, ROUTES, routeOf } from '../api/routes.ts';

const ANSWER_TYPES = {
  json: 'application/json',
  events: 'text/event-stream',
  lines: 'application/x-ndjson',
  text: 'text/plain',
} as const;

const BYTES = {
  'application/octet-stream': { schema: z.string().openapi({ format: 'binary' }) },
} as const;

const keyHeader = z
  .string()
  .max(200)
  .optional()
  .openapi({ description: 'The same call with the same key is carried out once, however often it is sent' });
const preferHeader = z.string().optional().openapi({
  description: '`wait=SECONDS`: answer once the work has ended, or after that time',
  example: 'wait=30',
});
const lastEventHeader = z
  .string()
  .optional()
  .openapi({ description: 'Id of the last event that was seen: the stream goes on after it' });

export function openApiDocument(version: string): object {
  const generator = new OpenAPIHono();
  const registry = generator.openAPIRegistry;
  registry.registerComponent('securitySchemes', 'token', { type: 'http', scheme: 'bearer' });
  for (const name of Object.keys(ROUTES) as OperationName[])
    registry.registerPath(pathOf(name, routeOf(name), CONTRACT[name]));
  return generator.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Kiln',
      version,
      description:
        'Immutable delivery: bake, check, promote, release, deploy. Every failure is a problem (RFC 9457).',
      license: { name: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
  });
}

function pathOf(name: OperationName, route: RouteInfo, schemas: OperationSchemas) {
  const { params, query, body, answer } = schemas;
  const headers = headersOf(route);
  const answers = { [ANSWER_TYPES[route.answers]]: { schema: answer } };
  return createRoute({
    method: route.method,
    path: API_ROOT + route.path,
    operationId: name,
    tags: [name.slice(0, name.indexOf('.'))],
    summary: route.summary,
    description: `Needs the role ${route.role}.`,
    request: {
      ...(params === undefined ? {} : { params }),
      ...(query === undefined ? {} : { query }),
      ...(headers === undefined ? {} : { headers }),
      ...(route.takes === undefined ? {} : { body: { required: true, content: BYTES } }),
      ...(body === undefined
        ? {}
        : { body: { required: true, content: { 'application/json': { schema: body } } } }),
    },
    responses: {
      200: { description: answerText(route), content: answers },
      ...(route.begins ? { 202: { description: 'Begun; follow it by its id', content: answers } } : {}),
      default: { description: 'A failure', content: { [PROBLEM_TYPE]: { schema: problem } } },
    },
  });
}

function headersOf(route: RouteInfo) {
  if (route.answers === 'events') return z.object({ 'Last-Event-ID': lastEventHeader });
  if (route.method === 'get' || route.takes !== undefined) return undefined;
  return route.begins
    ? z.object({ 'Idempotency-Key': keyHeader, Prefer: preferHeader })
    : z.object({ 'Idempotency-Key': keyHeader });
}

function answerText(route: RouteInfo): string {
  if (route.answers === 'events') return 'Server-sent events; the schema is that of each `data`';
  if (route.answers === 'text') return 'The text, as an attachment';
  return route.answers === 'lines' ? 'One JSON value a line' : 'The answer';
}
