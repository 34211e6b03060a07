/**
 * The HTTP surface, put together. Every request passes, in this order: a request id and the access log, Host and
 * Origin, the token, and then its operation. `/healthz` and `/readyz` need no token, and `/webhooks` and `/chat` a signature instead.
 */
import { Hono } from 'hono';
import { API_ROOT, pathOf } from '../api/routes.ts';
import { KilnError } from '../domain/errors.ts';
import { problemAnswer } from './answers.ts';
import { serveAudit } from './audit.ts';
import { assertRole, authenticate, bearerSecret } from './auth.ts';
import { serveBakes } from './bakes.ts';
import { serveCatalogue } from './catalogue.ts';
import { serveChannels } from './channels.ts';
import { receiveChat } from './chat.ts';
import { serveChecks } from './checks.ts';
import { serveDeployments } from './deployments.ts';
import { StreamCount, type StreamParts } from './event-stream.ts';
import { serveEvents } from './events.ts';
import { healthAnswer, readinessAnswer } from './health.ts';
import { serveImages } from './images.ts';
import { serveJanitor } from './janitor.ts';
import { Metrics } from './metrics.ts';
import { openApiDocument } from './openapi.ts';
import { type KilnHono, Operations, type Variables } from './operations.ts';
import { assertHostAndOrigin } from './origin.ts';
import { servePage, servePageFiles } from './page.ts';
import { PageCodes } from './page-codes.ts';
import type { HttpParts } from './parts.ts';
import { servePauses } from './pauses.ts';
import { servePipelineHealth } from './pipeline-health.ts';
import { servePipelineLogs } from './pipeline-logs.ts';
import { servePipelines } from './pipelines.ts';
import { serveRebakes } from './rebakes.ts';
import { serveRegistry } from './registry.ts';
import { serveReleases } from './releases.ts';
import { serveScans } from './scans.ts';
import { serveServer } from './server.ts';
import { serveServices } from './services.ts';
import { serveSources } from './sources.ts';
import { serveTaskTokens } from './task-tokens.ts';
import { passwordAsBearer, serveTerraform } from './terraform.ts';
import { serveTokens } from './tokens.ts';
import { receiveWebhooks, serveWebhooks } from './webhooks.ts';
import { serveWorkers } from './workers.ts';
import { passJobsOn } from './workers-elsewhere.ts';

export interface App {
  /** What an HTTP server calls with each request. */
  readonly fetch: (request: Request) => Response | Promise<Response>;
  /** Ends streams and waiting calls at once: call it before the sockets are closed, or they hold them open. */
  close(): void;
}

const REQUEST_ID_BYTES = 9;
const TERRAFORM_STATE = pathOf('terraform.state', {});
const PAGE_SESSIONS = pathOf('page.session', {});

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
};

export function createApp(httpParts: HttpParts): App {
  const closing = new AbortController();
  const parts: StreamParts = { ...httpParts, streams: new StreamCount(), closing: closing.signal };
  const metrics = new Metrics(parts);
  const codes = new PageCodes(parts.randomBytes);
  const app: KilnHono = new Hono<{ Variables: Variables }>();
  logAndMeasure(app, parts, metrics);
  app.use(async (context, next) => {
    assertHostAndOrigin(context.req.header('host'), context.req.header('origin'), parts.hosts);
    await next();
  });
  app.get('/healthz', () => healthAnswer());
  app.get('/readyz', () => readinessAnswer(parts));
  servePageFiles(app, parts.page);
  receiveWebhooks(app, parts);
  receiveChat(app, parts);
  app.use(async (context, next) => {
    const sent = context.req.header('authorization');
    const header = context.req.path === TERRAFORM_STATE ? passwordAsBearer(sent) : sent;
    const nowMs = parts.clock.now();
    const codeActor =
      context.req.path === PAGE_SESSIONS ? codes.take(bearerSecret(header) ?? '', nowMs) : undefined;
    context.set('actor', codeActor ?? (await authenticate(parts.store.tokens, header, nowMs)));
    await next();
  });
  serveDocuments(app, parts, metrics);
  passJobsOn(app, parts);
  serveOperations(new Operations(app, parts), parts, codes);
  app.notFound((context) => {
    const missing = new KilnError('not-found', `There is nothing at ${context.req.path.slice(0, 200)}.`, {
      next: 'See /api/v1/openapi.json for what there is.',
    });
    return problemAnswer(missing, context.get('requestId'));
  });
  return { fetch: (request) => app.fetch(request), close: () => close(closing, metrics) };
}

function close(closing: AbortController, metrics: Metrics): void {
  closing.abort(
    new KilnError('server.busy', 'The server is stopping.', {
      next: 'Ask again: another one may take over.',
      retryable: true,
    }),
  );
  metrics.close();
}

function serveOperations(operations: Operations, parts: StreamParts, codes: PageCodes): void {
  serveBakes(operations, parts);
  serveImages(operations, parts);
  serveChannels(operations, parts);
  serveCatalogue(operations, parts);
  serveTerraform(operations, parts);
  serveJanitor(operations, parts);
  serveChecks(operations, parts);
  serveRebakes(operations, parts);
  serveRegistry(operations, parts);
  serveScans(operations, parts);
  serveReleases(operations, parts);
  serveDeployments(operations, parts);
  servePipelines(operations, parts);
  servePauses(operations, parts);
  servePipelineLogs(operations, parts);
  servePipelineHealth(operations, parts);
  serveTaskTokens(operations, parts);
  serveWorkers(operations, parts);
  serveServices(operations, parts);
  serveSources(operations, parts);
  serveTokens(operations, parts);
  serveWebhooks(operations, parts);
  serveAudit(operations, parts);
  serveEvents(operations, parts);
  serveServer(operations, parts);
  servePage(operations, parts, codes);
  operations.refuseOtherMethods();
}

function serveDocuments(app: KilnHono, parts: StreamParts, metrics: Metrics): void {
  let document: object | undefined;
  app.get(`${API_ROOT}/openapi.json`, (context) => {
    document ??= openApiDocument(parts.server.version);
    return context.json(document);
  });
  app.get('/metrics', async (context) => {
    assertRole(context.get('actor'), 'viewer');
    return await metrics.answer();
  });
}

/** One line a request: never its query, body or headers, which may hold what is secret. */
function logAndMeasure(app: KilnHono, parts: StreamParts, metrics: Metrics): void {
  app.use(async (context, next) => {
    const startedMs = parts.clock.monotonic();
    const requestId = Buffer.from(parts.randomBytes(REQUEST_ID_BYTES)).toString('base64url');
    context.set('requestId', requestId);
    context.set('operation', 'none');
    await next();
    const durationMs = parts.clock.monotonic() - startedMs;
    const { status } = context.res;
    const { method, path } = context.req;
    context.header('x-request-id', requestId);
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      if (!context.res.headers.has(name)) context.header(name, value);
    }
    if (!context.res.headers.has('cache-control')) context.header('cache-control', 'no-store');
    metrics.observeRequest(context.get('operation'), method, status, durationMs / 1000);
    const actor = (context.get('actor') as Variables['actor'] | undefined)?.name;
    parts.log.info({ requestId, method, path, status, durationMs: Math.round(durationMs), actor }, 'request');
  });
  app.onError((thrown, context) => {
    const requestId = context.get('requestId');
    const answer = problemAnswer(thrown, requestId);
    if (answer.status >= 500) parts.log.error({ requestId, err: thrown }, 'a request failed');
    return answer;
  });
}
