/** The component that dies with its server: a web process, a worker, a migration, a build step and a smoke test. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

export const ENVIRONMENT = 'live/local';
/** The only one, which the environment takes its images from. */
export const CHANNEL = 'proven';
/** How long a request to `/slow` is in flight. */
export const SLOW_MS = 40;

export interface CrashComponent {
  readonly component: string;
  readonly strategy: 'blue-green' | 'rolling';
  readonly keepWarm: string;
  readonly instances: number;
  /** A second process without a port. */
  readonly worker: boolean;
}

/** Writes the folder of the component as it is in this version. */
export async function writeComponent(
  directory: string,
  { component, strategy, keepWarm, instances, worker }: CrashComponent,
  text: string,
): Promise<void> {
  await mkdir(path.join(directory, 'checks'), { recursive: true });
  const definition = {
    component,
    image: {
      kind: 'bundle',
      build: [{ run: 'node build.js', inputs: ['build.js', 'text'], outputs: ['built'] }],
      run: 'node server.js',
    },
    service: {
      health: { path: '/health', interval: '1s', timeout: '5s', startup: '60s' },
      stop: { grace: '20s' },
      instances,
    },
    ...(worker ? { processes: { worker: { run: 'node worker.js', stop: { grace: '5s' } } } } : {}),
    migrate: 'node migrate.js',
    checks: ['checks/smoke.yaml'],
    deploy: { strategy, keepWarm, timeout: '5m' },
    routes: [{ host: '{component}.{environment}.localhost' }],
    environments: { [ENVIRONMENT]: { channel: CHANNEL } },
  };
  // JSON is YAML.
  await writeFile(path.join(directory, 'kiln.yaml'), JSON.stringify(definition));
  await writeFile(path.join(directory, 'checks/smoke.yaml'), SMOKE);
  await writeFile(path.join(directory, 'build.js'), BUILD);
  await writeFile(path.join(directory, 'server.js'), SHOP);
  await writeFile(path.join(directory, 'worker.js'), WORKER);
  await writeFile(path.join(directory, 'migrate.js'), MIGRATION);
  await writeFile(path.join(directory, 'text'), text);
}

const SHOP = `const { createServer } = require('node:http');
const { readFileSync } = require('node:fs');
const text = readFileSync('built/text', 'utf8');
let stopping = false;
const server = createServer((request, response) => {
  const answer = () => {
    response.writeHead(200, {
      'x-release': process.env.KILN_RELEASE,
      'content-length': Buffer.byteLength(text),
      ...(stopping && { connection: 'close' }),
    });
    response.end(text);
  };
  if (request.url === '/slow') setTimeout(answer, ${SLOW_MS});
  else answer();
});
server.keepAliveTimeout = 120000;
server.listen(Number(process.env.PORT), process.env.HOST);
process.on('SIGTERM', () => {
  stopping = true;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
`;

const WORKER = `setInterval(() => {}, 1000);
process.on('SIGTERM', () => process.exit(0));
`;

const MIGRATION = `console.log('nothing to migrate');
`;

const BUILD = `const { mkdirSync, copyFileSync } = require('node:fs');
mkdirSync('built', { recursive: true });
copyFileSync('text', 'built/text');
`;

const SMOKE = `tests:
  - name: the page opens
    uri: /
    outcomes: { expect_status_code: 200 }
`;
