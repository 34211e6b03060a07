/** A tiny service whose release, configuration and behaviour a test chooses: each call of `writeShop` makes another. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Kiln } from './kiln.ts';

/**
 * How it behaves outside the check of the fresh image: `ill` answers 503 on its health path, `hangs` never answers, `late` listens after seconds,
 * `one-silent` listens in all instances but the second, `silent` never listens, `crashes` ends at once, `wrong-page` fails its smoke check.
 */
export type Behaviour =
  | 'well'
  | 'ill'
  | 'hangs'
  | 'late'
  | 'one-silent'
  | 'silent'
  | 'crashes'
  | 'wrong-page';

export interface ShopWish {
  readonly text: string;
  readonly greeting?: string;
  readonly behaviour?: Behaviour;
  readonly hosts?: readonly string[];
  readonly instances?: number;
  readonly strategy?: 'blue-green' | 'rolling';
  readonly keepWarm?: string;
  readonly startup?: string;
  readonly timeout?: string;
  readonly migrate?: string;
  readonly required?: readonly string[];
  readonly worker?: boolean;
  readonly stopSignals?: readonly string[];
  /** The only path that answers for its health; `/health` when absent. */
  readonly healthPath?: string;
}

const SERVER = `const { createServer } = require('node:http');
const text = require('./text.json');
const { HEALTH_PATH: healthPath, BEHAVIOUR: behaviour, GREETING: greeting, KILN_VERSION: version, KILN_RELEASE: release } = process.env;
if (behaviour === 'crashes') {
  console.log('cannot go on: the fixture was told to crash');
  process.exit(3);
}
const page = behaviour === 'wrong-page' ? 'something else' : text + ' | ' + greeting;
const server = createServer((request, response) => {
  response.setHeader('x-release', version);
  if (request.url.endsWith('health') && request.url !== healthPath) {
    response.statusCode = 404;
    response.end('no such page');
    return;
  }
  if (request.url === healthPath) {
    if (behaviour === 'hangs') return;
    response.statusCode = behaviour === 'ill' ? 503 : 200;
    response.end('health');
    return;
  }
  if (request.url.startsWith('/slow')) {
    // Begun at once, so that nobody can ask another instance for it when this one goes.
    response.setHeader('content-length', Buffer.byteLength(page));
    response.write(page.slice(0, 1));
    setTimeout(() => response.end(page.slice(1)), Number(request.url.split('=')[1] ?? 1000));
    return;
  }
  response.end(page);
});
console.log('release ' + release + ' starts as ' + behaviour);
const listen = () => server.listen(Number(process.env.PORT), process.env.HOST);
const isSecond = /-1-[0-9a-f]{8}$/.test(process.env.KILN_INSTANCE);
if (behaviour === 'one-silent' && isSecond) console.log('the second one has nothing to say');
if (behaviour === 'silent' || (behaviour === 'one-silent' && isSecond)) setInterval(() => {}, 1000);
else if (behaviour === 'late') setTimeout(listen, 4000);
else listen();
// An upgraded connection says back whatever it is told.
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: echo\\r\\n\\r\\n');
  socket.on('error', () => {}).pipe(socket);
});
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
`;

const WORKER = `console.log('worker of ' + process.env.KILN_VERSION);
setInterval(() => {}, 1000);
`;

const CHECK = (text: string): string => `tests:
  - name: the page is the page
    uri: /
    outcomes:
      expect_status_code: 200
      response_body_contains: ${JSON.stringify(text)}
`;

/** Writes the component's folder, whole. Its routes are those of the environment `stage/local`. */
export async function writeShop(directory: string, wish: ShopWish): Promise<void> {
  const { healthPath = '/health' } = wish;
  const { text, greeting = 'hello', behaviour = 'well', hosts = ['shop.stage.localhost'] } = wish;
  await mkdir(path.join(directory, 'checks'), { recursive: true });
  const definition = {
    component: 'shop',
    image: { kind: 'bundle', run: 'node server.js' },
    service: {
      health: { path: healthPath, interval: '1s', timeout: '1s', startup: wish.startup ?? '60s' },
      stop: { signals: wish.stopSignals ?? ['SIGTERM', 'SIGKILL'], grace: '20s' },
      instances: wish.instances ?? 1,
    },
    ...(wish.worker === true
      ? { processes: { worker: { run: 'node worker.js', stop: { grace: '5s' } } } }
      : {}),
    ...(wish.migrate === undefined ? {} : { migrate: wish.migrate }),
    checks: ['checks/smoke.yaml'],
    config: { required: wish.required ?? [], values: { greeting, behaviour, health_path: healthPath } },
    deploy: {
      strategy: wish.strategy ?? 'blue-green',
      keepWarm: wish.keepWarm ?? '10m',
      timeout: wish.timeout ?? '2m',
    },
    routes: hosts.map((host) => ({ host })),
    environments: {
      'bake/local': {
        config: {
          values: {
            behaviour: 'well',
            ...Object.fromEntries((wish.required ?? []).map((key) => [key, 'given'])),
          },
        },
      },
      'live/local': { routes: [{ host: 'shop.live.localhost' }] },
    },
  };
  // JSON is YAML.
  await writeFile(path.join(directory, 'kiln.yaml'), JSON.stringify(definition, undefined, 2));
  await writeFile(path.join(directory, 'text.json'), JSON.stringify(text));
  await writeFile(path.join(directory, 'server.js'), SERVER);
  await writeFile(path.join(directory, 'worker.js'), WORKER);
  await writeFile(path.join(directory, 'checks/smoke.yaml'), CHECK(text));
}

/** Bakes one more version of the shop and gives its reference. */
export async function bakeShop(kiln: Kiln, version: string, wish: ShopWish): Promise<string> {
  const directory = path.join(kiln.directory, 'shop');
  await writeShop(directory, wish);
  await kiln.json('bake', directory, '--version', version);
  return `shop@${version}`;
}
