/** Task resources with real parts: a server that carries them out, an HTTP server that they call, a real rollback. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Kiln, until } from '../e2e/kiln.ts';
import { BUILD_SECONDS, kindsOfWaiting, STUBBORN_SECONDS } from './kinds-of-waiting.ts';

interface Execution {
  readonly id: string;
  readonly status: string;
  readonly output?: unknown;
  readonly error?: string;
  readonly cause?: string;
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

let kiln: Kiln;
let url = '';
const asked: Asked[] = [];
const held = new Set<ServerResponse>();
/** Paths that are never answered, while somebody waits for them. */
const hanging = new Set<string>();
const outside = createServer(async (request, response) => {
  let body = '';
  for await (const piece of request) body += piece;
  const { method = '', url: path = '', headers } = request;
  asked.push({ method, path, headers, body });
  if (path.startsWith('/hang')) {
    hanging.add(path);
    response.on('close', () => hanging.delete(path));
  } else if (path === '/slow' && held.size < 2) {
    held.add(response);
  } else if (path === '/away') {
    response.writeHead(302, { location: '/elsewhere' }).end();
  } else if (path === '/missing') {
    response.writeHead(404, { 'content-type': 'application/json' }).end('{"why": "gone"}');
  } else {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ path, body }));
  }
});

beforeAll(async () => {
  await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
  const address = outside.address();
  url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
  kiln = await Kiln.create({
    environment: { AWS_ENDPOINT_URL_S3: url, AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' },
  });
  await kiln.serve();
});
afterAll(async () => {
  outside.closeAllConnections();
  await new Promise((resolve) => outside.close(resolve));
  await kiln.destroy();
});

const show = (id: string) => kiln.json<Execution>('pipeline', 'show', id);
const sent = (path: string) => asked.filter((one) => one.path === path);

async function ended(id: string): Promise<Execution> {
  let execution = await show(id);
  await until(`${id} has ended`, async () => {
    execution = await show(id);
    return !['PENDING', 'RUNNING'].includes(execution.status);
  });
  return execution;
}

async function component(
  name: string,
  states: object,
  file = 'pipeline.yaml',
  { build, head }: { readonly build?: string | undefined; readonly head?: object | undefined } = {},
): Promise<string> {
  const builds = build === undefined ? '' : `, build: ${build}`;
  const directory = path.join(kiln.directory, name);
  await mkdir(directory, { recursive: true });
  await writeFile(
    path.join(directory, 'kiln.yaml'),
    `component: ${name}\nimage: {kind: bundle, run: sleep 1${builds}}\nservice: {port: 8080}\n`,
  );
  const [StartAt = ''] = Object.keys(states);
  await writeFile(path.join(directory, file), JSON.stringify({ ...head, StartAt, States: states }));
  return directory;
}

const task = (Resource: string, Parameters: object, more: object = { End: true }) => ({
  Type: 'Task',
  Resource,
  Parameters,
  ...more,
});

/** Runs to its end; a failed one gives the execution all the same. */
async function run(directory: string, ...more: string[]): Promise<Execution> {
  const { stdout } = await kiln.run('pipeline', 'run', directory, '--json', ...more);
  return JSON.parse(stdout) as Execution;
}

describe('http', () => {
  it('asks with its body and key, gives status and body, and does not follow anybody elsewhere', async () => {
    const next = (ResultPath: string, Next: string) => ({ ResultPath, Next });
    const directory = await component('http', {
      Post: task(
        'http',
        { url: `${url}/orders`, method: 'POST', headers: { 'x-shop': '1' }, body: { id: 7 } },
        next('$.post', 'Away'),
      ),
      Away: task('http', { url: `${url}/away` }, next('$.away', 'Missing')),
      Missing: task(
        'http',
        { url: `${url}/missing` },
        {
          Catch: [{ ErrorEquals: ['Http.404'], ResultPath: '$.missing', Next: 'Done' }],
          End: true,
        },
      ),
      Done: { Type: 'Succeed' },
    });
    const { status, output } = await run(directory);
    expect({ status, output }).toMatchObject({
      status: 'SUCCEEDED',
      output: {
        post: { status: 200, body: { path: '/orders', body: '{"id":7}' } },
        away: { status: 302 },
        missing: { Error: 'Http.404', Cause: '{"why":"gone"}' },
      },
    });
    const [order] = sent('/orders');
    expect(order).toMatchObject({
      method: 'POST',
      headers: {
        'x-shop': '1',
        'content-type': 'application/json',
        'idempotency-key': expect.stringMatching(/.{20,}/),
      },
    });
    expect(sent('/elsewhere')).toEqual([]);
  });
});

it('a microtica.yaml is the pipeline of its folder, and two files are told rather than chosen between', async () => {
  const parameters = {
    commands: ['echo "$GREETING $WHO"'],
    sourceLocation: '$.trigger.source.location',
    environmentVariables: { GREETING: 'hello', WHO: '$.component' },
  };
  const Greet = task('microtica.actions.cmd', parameters);
  const directory = await component('greets', { Greet }, 'other.yaml');
  const text = JSON.stringify({ Pipeline: { StartAt: 'Greet', States: { Greet } } });
  await writeFile(path.join(directory, 'microtica.yaml'), text);
  const { status, output } = await run(directory);
  expect([status, output]).toEqual(['SUCCEEDED', expect.objectContaining({ output: 'hello greets\n' })]);
  await writeFile(path.join(directory, 'pipeline.yaml'), text);
  const refused = await kiln.run('pipeline', 'run', directory);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('has both pipeline.yaml and microtica.yaml');
});

describe('approve', () => {
  it('is the answer of the role that is asked, and of nobody else', async () => {
    const directory = await component('asked', {
      Admin: task('approve', { role: 'admin' }, { Next: 'Live' }),
      Live: task('approve', { environment: ['live/local', 'live/uk'], image: 'asked:proven' }),
    });
    const { id } = await kiln.json<Execution>('pipeline', 'run', directory, '--detach');
    const says = (text: string) =>
      until(`it says ${text}`, async () => (await kiln.run('pipeline', 'why', id)).stdout.includes(text));
    const answerOf = async (name: string, role: string, environments: readonly string[]) => {
      const made = await kiln.call('POST', '/api/v1/tokens', { name, role, environments });
      const { secret } = (await made.json()) as { secret: string };
      const headers = { authorization: `Bearer ${secret}` };
      const decision = { approve: true, why: `as ${name}` };
      return (await kiln.call('POST', `/api/v1/executions/${id}/decision`, decision, headers)).status;
    };
    await says('waits for an admin to approve');
    expect(await answerOf('onlooker', 'viewer', [])).toBe(403);
    expect(await answerOf('deployer', 'deployer', ['*/*'])).toBe(403);
    await kiln.json('pipeline', 'approve', id, '--why', 'seen');
    // What cannot be found out of its image is evidence, too.
    await says('The channel proven of asked holds nothing.');
    expect(await answerOf('elsewhere', 'deployer', ['stage/*'])).toBe(403);
    expect(await answerOf('in-one', 'deployer', ['live/uk'])).toBe(403);
    expect((await show(id)).status).toBe('RUNNING');
    expect(await answerOf('there', 'deployer', ['live/*'])).toBe(200);
    expect(await ended(id)).toMatchObject({
      status: 'SUCCEEDED',
      output: {
        approved: true,
        by: 'there',
        why: 'as there',
        releases: [{ environment: 'live/local' }, { image: 'asked:proven', unknown: expect.any(String) }],
      },
    });
  });

  it('is answered by its default when nobody has by the deadline', async () => {
    const ask = (more: object) => task('approve', { deadlineSeconds: 0.2, ...more });
    const approved = await run(await component('lets', { Ask: ask({ default: 'approve' }) }));
    expect(approved).toMatchObject({ status: 'SUCCEEDED', output: { approved: true, by: 'nobody' } });
    const rejected = await run(await component('keeps', { Ask: ask({}) }));
    expect(rejected).toMatchObject({ status: 'FAILED', error: 'Kiln.Rejected' });
  });
});

describe('notify', () => {
  it('posts what it has to say with the execution that says it, and fails as it is answered', async () => {
    const message = { webhook: `${url}/hook`, message: 'shop is live', details: { version: '1.2.0' } };
    const directory = await component('notify', {
      Say: task('notify', message, { Next: 'Fail' }),
      Fail: task('notify', { webhook: `${url}/missing`, message: 'to nobody' }),
    });
    const execution = await run(directory);
    expect(execution).toMatchObject({
      status: 'FAILED',
      error: 'Http.404',
      cause: 'The webhook answered 404.',
    });
    const [said] = sent('/hook');
    expect(JSON.parse(said?.body ?? '')).toEqual({
      text: 'shop is live',
      execution: execution.id,
      pipeline: 'notify',
      details: { version: '1.2.0' },
    });
  });
});

describe('pipeline', () => {
  it('starts another, with input and parameters, and has its output or its error', async () => {
    const other = await component('other', {
      Ask: {
        Type: 'Choice',
        Choices: [{ Variable: '$.order', NumericEquals: 7, Next: 'Good' }],
        Default: 'Bad',
      },
      Good: { Type: 'Pass', Parameters: { 'order.$': '$.order', 'by.$': '$.trigger.kind' }, End: true },
      Bad: { Type: 'Fail', Error: 'Shop.NoOrder', Cause: 'there is no such order' },
    });
    const directory = await component('outer', {
      Good: task(
        'pipeline',
        { directory: other, input: { order: 7 } },
        { ResultPath: '$.good', Next: 'Loose' },
      ),
      Loose: task(
        'pipeline',
        { directory: other, input: { order: 7 }, wait: false },
        { ResultPath: '$.loose', Next: 'Bad' },
      ),
      Bad: task(
        'pipeline',
        { directory: other, input: { order: 8 } },
        {
          Catch: [{ ErrorEquals: ['Shop.NoOrder'], ResultPath: '$.bad', Next: 'Done' }],
          End: true,
        },
      ),
      Done: { Type: 'Succeed' },
    });
    const { status, output } = await run(directory);
    expect({ status, output }).toMatchObject({
      status: 'SUCCEEDED',
      output: {
        good: { status: 'SUCCEEDED', output: { order: 7, by: 'pipeline' } },
        loose: { status: 'RUNNING', execution: expect.stringMatching(/^exec-/) },
        bad: { Error: 'Shop.NoOrder', Cause: 'there is no such order' },
      },
    });
    const { loose } = output as { loose: { execution: string } };
    expect(await ended(loose.execution)).toMatchObject({ status: 'SUCCEEDED' });
  });
});

describe('after a crash', () => {
  it('a message is sent again under its key, another pipeline is the same one, a request’s end is unknown', async () => {
    const slow = `${url}/slow`;
    const waits = await component('waits', {
      Wait: task('approve', { message: 'go on?' }),
    });
    const say = await component('say', { Say: task('notify', { webhook: slow, message: 'slowly' }) });
    const call = await component('call', { Call: task('http', { url: slow, method: 'POST' }) });
    const outer = await component('starts', { Start: task('pipeline', { directory: waits }) });
    const detach = async (directory: string) =>
      (await kiln.json<Execution>('pipeline', 'run', directory, '--detach')).id;
    const [said, called, started] = [await detach(say), await detach(call), await detach(outer)];
    const opened = async () => {
      const { items } = await kiln.json<{ items: { id: string; pipeline: string }[] }>('pipeline', 'list');
      return items.filter((one) => one.pipeline === 'waits').map(({ id }) => id);
    };
    await until('all are under way', async () => sent('/slow').length === 2 && (await opened()).length === 1);
    const [inner = ''] = await opened();
    await kiln.kill();
    await kiln.serve();
    expect(await ended(said)).toMatchObject({ status: 'SUCCEEDED', output: { status: 200 } });
    expect(await ended(called)).toMatchObject({ status: 'FAILED', error: 'Kiln.OutcomeUnknown' });
    const messages = sent('/slow').filter(({ body }) => body.includes('slowly'));
    expect(messages).toHaveLength(2);
    expect(new Set(messages.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
    expect(sent('/slow')).toHaveLength(3);
    await kiln.json('pipeline', 'approve', inner, '--why', 'seen');
    expect(await ended(started)).toMatchObject({ status: 'SUCCEEDED', output: { execution: inner } });
    expect(await opened()).toEqual([inner]);
  });
});

describe('rollback', () => {
  it('brings back the release that served before, as it was, and says which', async () => {
    const shop = path.join(kiln.directory, 'shop');
    await mkdir(shop);
    const write = (text: string) =>
      writeFile(
        path.join(shop, 'server.js'),
        `require('node:http').createServer((_, answer) => answer.end('${text}')).listen(process.env.PORT);\n`,
      );
    await writeFile(
      path.join(shop, 'kiln.yaml'),
      'component: shop\nimage: {kind: bundle, run: node server.js}\nservice: {port: 8080, health: /}\n',
    );
    await write('first');
    await kiln.json('up', shop, '--environment', 'stage/local', '--version', '1.0.0');
    await write('second');
    await kiln.json('up', shop, '--environment', 'stage/local', '--version', '2.0.0');
    expect((await kiln.ask('shop.stage.localhost')).body).toBe('second');
    const back = { component: 'shop', environment: 'stage/local' };
    const directory = await component('back', {
      Back: task('rollback', back, { ResultPath: '$.back', Next: 'None' }),
      None: task('rollback', { ...back, to: 99 }),
    });
    const execution = await run(directory);
    expect(execution).toMatchObject({ status: 'FAILED', error: 'not-found' });
    expect((await kiln.ask('shop.stage.localhost')).body).toBe('first');
    // Whoever may not change the environment may not have a pipeline do it either.
    const { secret } = await kiln.json<{ secret: string }>(
      ...['tokens', 'create', 'other', '--role', 'deployer', '--environment', 'live/*'],
    );
    const body = { directory: await component('denied', { Back: task('rollback', back) }) };
    const answer = await kiln.call('POST', '/api/v1/executions', body, {
      authorization: `Bearer ${secret}`,
      prefer: 'wait=60',
    });
    expect(await answer.json()).toMatchObject({ status: 'FAILED', error: 'auth.denied' });
    expect((await kiln.ask('shop.stage.localhost')).body).toBe('first');
  });
});

interface Waiting extends Execution {
  readonly waits: readonly { readonly text: string; readonly limit?: string }[];
}

async function api(route: string, body?: object): Promise<Waiting> {
  const answer = await kiln.call(body === undefined ? 'GET' : 'POST', `/api/v1/executions${route}`, body);
  return (await answer.json()) as Waiting;
}

/** Command lines of this machine that hold one of the texts. */
async function commandsWith(...texts: readonly string[]): Promise<readonly string[]> {
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    processes.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')), // it has ended
  );
  return lines
    .map((line) => line.replaceAll('\0', ' '))
    .filter((line) => texts.some((text) => line.includes(text)));
}

it('each kind of waiting says its limit, and ends soon when it is cancelled, with all that it began', async () => {
  const kinds = Object.entries(kindsOfWaiting(url));
  await kiln.json('pipeline', 'pause', 'live/paused', '--why', 'holidays');
  await component(
    'waits-another-pipeline',
    { Wait: { Type: 'Wait', Seconds: 3_600, End: true } },
    'inner.json',
  );
  await component('first-of-its-turn', kindsOfWaiting(url).years?.states ?? {}, 'pipeline.yaml', {
    head: { Concurrency: { group: 'turns', onOpen: 'queue' } },
  });
  const first = await api('', { directory: path.join(kiln.directory, 'first-of-its-turn') });
  const begun = await Promise.all(
    kinds.map(async ([name, { states, ...more }]) => {
      const directory = await component(`waits-${name}`, states, 'pipeline.yaml', more);
      const { id } = await api('', { directory });
      return { name, id, ...more };
    }),
  );
  for (const { name, id, says, limit } of begun) {
    let waits: Waiting['waits'] = [];
    await until(`${name} waits`, async () => {
      ({ waits } = await api(`/${id}`));
      return waits.some(({ text }) => says.test(text));
    });
    expect(waits[0]?.limit ?? '', name).toMatch(limit);
  }
  await until('all that hangs is asked for', async () => hanging.size === 3);
  await until('the build is at work', async () => (await commandsWith(`sleep ${BUILD_SECONDS}`)).length > 0);
  await Promise.all([...begun, first].map(({ id }) => api(`/${id}/cancel`, {})));
  for (const { name, id } of begun) {
    await until(`${name} has ended`, async () => (await api(`/${id}`)).status === 'ABORTED', 20_000);
  }
  const stubborn = [`sleep ${STUBBORN_SECONDS}`, `sleep ${BUILD_SECONDS}`];
  await until('no process is left', async () => (await commandsWith(...stubborn)).length === 0);
  await until('nobody waits for an answer', async () => hanging.size === 0);
  await until('what it started has ended', async () => {
    const { items } = await kiln.json<{ items: Execution[] }>('pipeline', 'list', 'waits-another-pipeline');
    return items.length === 2 && items.every(({ status }) => status === 'ABORTED');
  });
});
