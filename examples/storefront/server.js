// The shop window: a page, its catalogue as JSON, and the standard endpoints.

const { readFileSync } = require('node:fs');
const { createServer } = require('node:http');
const { join } = require('node:path');
const { renderPage } = require('./page.js');
const { identity, log, readConfig } = require('./service.js');
const { standardEndpoints } = require('./standard.js');

const PUBLIC = join(__dirname, 'public');
const config = readConfig();
const { style, products } = JSON.parse(readFileSync(join(PUBLIC, 'catalogue.json'), 'utf8'));
const styleSheet = readFileSync(join(PUBLIC, style), 'utf8');
let stopping = false;
let page;

/** Rendered when first asked for: number formatting is slow to load, and starting is not the time for it. */
function shopPage() {
  page ??= renderPage({ config, identity, style, products });
  return page;
}

const answers = {
  '/': () => ({ status: 200, type: 'text/html; charset=utf-8', body: shopPage() }),
  '/api/products': () => ({
    status: 200,
    type: 'application/json; charset=utf-8',
    body: JSON.stringify({ currency: config.currency, products }),
  }),
  [`/${style}`]: () => ({
    status: 200,
    type: 'text/css; charset=utf-8',
    body: styleSheet,
    cache: 'public, max-age=31536000, immutable',
  }),
  ...standardEndpoints({
    config,
    canServe: () => !stopping,
    tests: {
      'catalogue is not empty': () => {
        if (products.length === 0) throw new Error('there is nothing to sell');
      },
    },
  }),
};

const server = createServer((request, response) => {
  const path = (request.url ?? '/').split('?')[0];
  const answer = Object.hasOwn(answers, path) ? answers[path] : undefined;
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    send(request, response, { status: 405, type: 'text/plain; charset=utf-8', body: 'Only GET\n' });
  } else {
    send(
      request,
      response,
      answer?.() ?? { status: 404, type: 'text/plain; charset=utf-8', body: 'Not here\n' },
    );
  }
});

function send(request, response, { status, type, body, cache = 'no-store' }) {
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    'Content-Type': type,
    'Content-Length': bytes.length,
    'Cache-Control': cache,
    'X-Kiln-Version': identity.version,
    ...(stopping && { Connection: 'close' }),
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

// Longer than any router keeps an idle connection: the router closes first, and no request meets a closed one.
server.keepAliveTimeout = 120_000;
server.on('error', (error) => {
  log('cannot listen', { error: error.message });
  process.exitCode = 1;
});
server.listen(Number(process.env.PORT ?? 8080), process.env.HOST ?? '0.0.0.0', () => {
  log('listening', { ...server.address(), version: identity.version, release: identity.release });
});

/** Answers what it has begun, takes nothing new, and ends by itself. */
function stop(signal) {
  if (stopping) return;
  stopping = true;
  log('stopping', { signal });
  server.close(() => log('stopped'));
  server.closeIdleConnections();
}

process.on('SIGTERM', stop);
process.on('SIGINT', stop);
