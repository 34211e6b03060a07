/** Two servers behind one Postgres: what one of them has, the other answers; what one loses, the other goes on with. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer } from '../../src/api/contract.ts';
import { readEvents } from '../../src/api/streams.ts';
import { POSTGRES_MISSING, PrivatePostgres, postgresBinaries } from '../contracts/postgres.ts';
import { Kiln, ROOT, until } from '../e2e/kiln.ts';
import { GitRemote } from '../pipeline/git-remote.ts';
import { githubPush, headersOf } from '../pipeline/webhooks-payloads.ts';

type Logs = Answer<'executions.logs'>;
type Piece = Answer<'executions.log'>;

/** The first attempt never ends by itself. */
const WORK = `cat greeting
if [ "$ATTEMPT" = 0 ]; then i=0; while :; do i=$((i+1)); echo "tick $i"; sleep 0.05; done; fi
echo done`;
const PIPELINE = {
  Triggers: { push: { branches: ['main'] } },
  StartAt: 'Work',
  States: {
    Work: {
      Type: 'Task',
      Resource: 'cmd',
      Parameters: {
        commands: [WORK],
        'source.$': '$.trigger.source.location',
        environment: { 'ATTEMPT.$': "States.Format('{}', $$.State.RetryCount)" },
      },
      Retry: [{ ErrorEquals: ['Kiln.OutcomeUnknown'], IntervalSeconds: 1, MaxAttempts: 2 }],
      End: true,
    },
  },
};

const postgresIsThere = postgresBinaries() !== undefined || process.env.CI === 'true';
const title = `two servers on one Postgres${postgresIsThere ? '' : ` (${POSTGRES_MISSING})`}`;

(postgresIsThere ? describe : describe.skip)(title, () => {
  let postgres: PrivatePostgres;
  let first: Kiln;
  let second: Kiln;
  let remote: GitRemote;
  let secret = '';

  beforeAll(async () => {
    postgres = await PrivatePostgres.start();
    const DATABASE_URL = await postgres.database();
    first = await Kiln.create({ environment: { DATABASE_URL } });
    const KILN_KEY_FILE = path.join(first.state, 'key');
    second = await Kiln.create({ environment: { DATABASE_URL, KILN_KEY_FILE } });
    await first.serve();
    await second.serve();
    const folder = path.join(first.directory, 'octocat');
    await mkdir(folder);
    remote = new GitRemote(folder, 'Hello-World');
    remote.commit('the component', {
      'kiln.yaml': 'component: shop\nimage: {kind: bundle, run: sleep 1}\nservice: {port: 8080}\n',
      'pipeline.yaml': JSON.stringify(PIPELINE),
      greeting: 'hello\n',
    });
    remote.push();
    await first.json('pipeline', 'watch', remote.bare, '--poll', '5s');
    const where = ['--provider', 'github', '--repository', remote.bare, '--url', 'https://kiln.example.com'];
    ({ secret } = await first.json<{ secret: string }>('webhook', 'add', 'shop', ...where));
  });
  afterAll(async () => {
    // One after the other: what the second runs names the key in the first one's directory.
    try {
      await second?.destroy();
      await first?.destroy();
    } finally {
      await postgres?.close();
    }
  });

  async function get<Shape>(kiln: Kiln, route: string): Promise<Shape> {
    return (await (await kiln.call('GET', `/api/v1${route}`)).json()) as Shape;
  }

  const executions = async (kiln: Kiln) =>
    (await get<{ items: { id: string; status: string }[] }>(kiln, '/executions')).items;
  const logsOf = async (kiln: Kiln, id: string) => (await get<Logs>(kiln, `/executions/${id}/logs`)).items;

  /** The next texts of a log, and the id of the last. */
  async function follow(
    kiln: Kiln,
    route: string,
    lastId?: string,
  ): Promise<{ text: string; lastId: string }> {
    const headers = lastId === undefined ? {} : { 'last-event-id': lastId };
    const answer = await kiln.call('GET', `/api/v1${route}`, undefined, headers);
    expect(answer.status).toBe(200);
    let text = '';
    for await (const { event, id, data = '{}' } of readEvents(answer.body ?? new ReadableStream())) {
      if (event !== 'text') continue;
      const piece: Piece = JSON.parse(data);
      text += piece.text;
      if (text.split('tick').length > 4 && id !== undefined) return { text, lastId: id };
    }
    throw new Error(`the log ended: ${text}`);
  }

  it('a webhook of one is taken by the other; logs, source and executions outlive the server that had them', async () => {
    const before = remote.git('rev-parse', 'HEAD').trim();
    const after = remote.commit('a change', { greeting: 'hello again\n' });
    remote.push();
    const body = JSON.stringify(githubPush({ before, after }));
    const url = (await second.serverFile())?.url;
    const headers = {
      'content-type': 'application/json',
      ...headersOf('github', 'push', body, secret, 'd1'),
    };
    const taken = await fetch(`${url}/webhooks/shop`, { method: 'POST', headers, body });
    expect([taken.status, await taken.json()]).toMatchObject([202, { outcome: 'taken' }]);

    // Told by the webhook and seen by looking at the remote, from two servers: one execution.
    await until('it has begun', async () => (await executions(first)).length > 0);
    const [{ id } = { id: '' }] = await executions(first);
    await until('its command writes', async () => (await logsOf(first, id))[0]?.live === true);
    const [log] = await logsOf(first, id);
    const ids = await Promise.all([first, second].map((kiln) => get<{ id: string }>(kiln, '/server')));
    const [holder, other] = ids[0]?.id === log?.server ? [first, second] : [second, first];

    // Read and followed through the server that does not have it.
    expect((await logsOf(other, id)).map(({ task, server }) => [task, server])).toEqual([
      [log?.task, log?.server],
    ]);
    const route = `/executions/${id}/logs/${log?.task}`;
    const begun = await follow(other, route);
    expect(begun.text).toMatch(/^hello again\ntick 1\n/);
    const gone = await follow(other, route, begun.lastId);
    expect(begun.text + gone.text).toMatch(/^hello again\n(tick \d+\n)+$/);
    const ticks = [...(begun.text + gone.text).matchAll(/tick (\d+)/g)].map(([, n]) => Number(n));
    expect(ticks).toEqual(ticks.map((_, at) => at + 1));
    const lines = await get<Answer<'executions.lines'>>(other, `${route}/lines?from=1&limit=1`);
    expect(lines).toMatchObject({ live: true, items: [{ text: 'hello again' }] });
    const nobody = await fetch(`${url}/api/v1${route}`, { headers: { authorization: 'Bearer nobody' } });
    expect(nobody.status).toBe(401);

    // A folder is of one machine: whoever lives there is given what is started from it, and only its death changes that.
    const local = path.join(holder.directory, 'local');
    await cp(remote.work, local, { recursive: true });
    const ofFolder = await holder.json<{ id: string }>('pipeline', 'run', local, '--detach');
    await until('it writes, too', async () => (await logsOf(other, ofFolder.id))[0]?.live === true);
    expect(await logsOf(other, ofFolder.id)).toMatchObject([{ server: log?.server }]);

    // As when the machine is gone, and its disk with it.
    await rm(local, { recursive: true });
    await holder.kill();
    for (const lost of ['checkouts', 'mirrors'])
      await rm(path.join(holder.state, 'pipelines', lost), { recursive: true, force: true });
    await until(
      'the other went on with it',
      async () => (await executions(other)).find((one) => one.id === id)?.status === 'SUCCEEDED',
    );
    const waited = await get<object>(other, `/executions/${ofFolder.id}?wait=60`);
    expect(waited).toMatchObject({
      status: 'FAILED',
      error: 'checkout.failed',
      cause: expect.stringContaining(`the folder ${local}, which is not on`),
    });
    const [lost, again, ...more] = await logsOf(other, id);
    expect(more).toEqual([]);
    expect(lost).toMatchObject({ server: log?.server, unreadable: { code: 'server.gone' } });
    const refused = await other.call('GET', `/api/v1${route}`);
    expect([refused.status, await refused.json()]).toMatchObject([
      503,
      { code: 'server.gone', detail: expect.stringContaining('last seen at 20') },
    ]);
    const text = await other.call('GET', `/api/v1/executions/${id}/logs/${again?.task}/text`);
    expect(await text.text()).toBe('hello again\ndone\n');
    expect(await other.run('pipeline', 'logs', id)).toMatchObject({
      code: 69,
      stdout: expect.stringContaining('done'),
      stderr: expect.stringMatching(/which (is gone|does not answer).*: last seen at/),
    });
    expect((await other.run('doctor')).stdout).toContain('last heartbeat');

    // Back again, what it had is still there, for both.
    await holder.serve();
    await until('its log can be read', async () => (await logsOf(other, id))[0]?.unreadable === undefined);
    const whole = await other.call('GET', `/api/v1${route}/text`);
    expect(await whole.text()).toMatch(/^hello again\ntick 1\n/);
    expect((await executions(holder)).map((one) => one.id)).toEqual([ofFolder.id, id]);
  });

  it('a worker that knows one of them works for both, and so do its artifacts', async () => {
    const { secret: token } = await first.json<{ secret: string }>(
      'tokens',
      'create',
      'far',
      '--role',
      'worker',
    );
    const url = (await second.serverFile())?.url;
    const state = path.join(second.directory, 'elsewhere');
    const worker = spawn(path.join(ROOT, 'bin/kiln'), ['worker', '--labels', 'far', '--state', state], {
      env: { PATH: process.env.PATH, KILN_URL: url, KILN_TOKEN: token },
      stdio: 'ignore',
    });
    try {
      const cmd = (Parameters: object, next: object) => ({
        Type: 'Task',
        Resource: 'cmd',
        Parameters: { runsOn: 'far', ...Parameters },
        ...next,
      });
      const Make = cmd(
        {
          'source.$': '$.trigger.source.location',
          commands: ['mkdir dist; cat greeting > dist/greeting; head -c 5000000 /dev/urandom > dist/large'],
          artifacts: { dist: 'dist' },
        },
        { Next: 'Use' },
      );
      const take = { commands: ['cat in/dist/greeting'], inputs: { 'in.$': '$.artifacts.dist.digest' } };
      const definition = { StartAt: 'Make', States: { Make, Use: cmd(take, { End: true }) } };
      const jobs = [first, second].map(async (kiln, at) => {
        const folder = path.join(kiln.directory, `far-${at}`);
        await mkdir(folder);
        await writeFile(path.join(folder, 'pipeline.yaml'), JSON.stringify(definition));
        await writeFile(path.join(folder, 'greeting'), `hello ${at}\n`);
        const { id } = await kiln.json<{ id: string }>('pipeline', 'run', folder, '--detach');
        const ended = await get<object>(kiln, `/executions/${id}?wait=60`);
        expect(ended).toMatchObject({ status: 'SUCCEEDED', output: { output: `hello ${at}\n` } });
        return (await logsOf(kiln, id)).map(({ server }) => server);
      });
      expect(new Set((await Promise.all(jobs)).flat()).size).toBe(2);
    } finally {
      const exited = once(worker, 'exit');
      worker.kill('SIGKILL');
      await exited;
    }
  });
});
