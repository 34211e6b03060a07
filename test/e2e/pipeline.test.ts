/** Pipelines as people meet them: a real server, its real tasks, and a crash in the middle. */

import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Gate, openGate } from '../gate.ts';
import { GitRemote } from '../pipeline/git-remote.ts';
import { Kiln, ROOT, until } from './kiln.ts';

interface Execution {
  readonly id: string;
  readonly status: string;
  readonly input: unknown;
  readonly output?: unknown;
  readonly error?: string;
  readonly cause?: string;
  readonly waits: readonly {
    readonly state: string;
    readonly kind: string;
    readonly text: string;
    readonly sinceMs: number;
    readonly evidence?: unknown;
    readonly releases?: readonly unknown[];
  }[];
}

let kiln: Kiln;
beforeAll(async () => {
  kiln = await Kiln.create();
  const advisories = path.join(kiln.directory, 'advisories');
  await mkdir(advisories);
  const affected = [{ package: { ecosystem: 'npm', name: 'nothing-here' }, versions: ['1.0.0'] }];
  await writeFile(path.join(advisories, 'one.json'), JSON.stringify({ id: 'TEST-1', affected }));
  await mkdir(kiln.state, { mode: 0o700 });
  await writeFile(path.join(kiln.state, 'settings.yaml'), `scan: {advisories: ${advisories}}\n`);
  await kiln.serve();
});
afterAll(() => kiln.destroy());

const show = (id: string) =>
  kiln.json<Execution & { history: { type: string; state?: string }[] }>('pipeline', 'show', id);

async function ended(id: string): Promise<Execution> {
  let execution = await show(id);
  await until(`${id} has ended`, async () => {
    execution = await show(id);
    return !['PENDING', 'RUNNING'].includes(execution.status);
  });
  return execution;
}

/** A component with nothing to build, and a pipeline of its own. */
async function component(name: string, states: object, more: object = {}): Promise<string> {
  const directory = path.join(kiln.directory, name);
  await mkdir(directory);
  await writeFile(
    path.join(directory, 'kiln.yaml'),
    `component: ${name}\nimage: {kind: bundle, run: sleep 1}\nservice: {port: 8080}\n`,
  );
  const [StartAt = ''] = Object.keys(states);
  await writeFile(
    path.join(directory, 'pipeline.yaml'),
    JSON.stringify({ ...more, StartAt, States: states }),
  );
  return directory;
}

const task = (commands: string[], more: object = { End: true }) => ({
  Type: 'Task',
  Resource: 'cmd',
  Parameters: { commands, 'source.$': '$.trigger.source.location' },
  ...more,
});

describe('parameters', () => {
  const Parameters = [
    { name: 'note', description: 'Why it is started' },
    { name: 'count', type: 'number', default: 2 },
    { name: 'where', default: 'stage', allowed: ['stage', 'live'] },
    { name: 'careful', type: 'boolean' },
  ];
  const Told = { Type: 'Pass', OutputPath: '$.parameters', End: true };
  const executions = async () =>
    (await kiln.json<{ items: unknown[] }>('pipeline', 'list', '--text', 'wonders')).items;

  it('are asked for at a terminal, again where an answer is wrong; Ctrl-C starts nothing', async () => {
    const wonders = await component('wonders', { Told }, { Parameters });
    const session = kiln.atTerminal('pipeline', 'run', wonders, '--parameters', 'where=moon');
    await session.answer('a text ›', '\r');
    await session.answer('it is missing: give a text', '');
    await session.answer('a text ›', 'a, b\r');
    await session.answer('"moon" is not allowed: give one of stage, live', '');
    await session.answer('2) live', '');
    await session.answer('which [stage] ›', '2\r');
    await session.answer('yes or no ›', 'perhaps\r');
    await session.answer('"perhaps" is of another type', '');
    await session.answer('yes or no ›', 'y\r');
    expect(await session.ended(), session.shown).toBe(0);
    expect(session.shown).not.toContain('a number');
    const output = session.shown.slice(session.shown.lastIndexOf('{'));
    expect(JSON.parse(output)).toEqual({ note: 'a, b', count: 2, where: 'live', careful: true });

    const before = await executions();
    const left = kiln.atTerminal('pipeline', 'run', wonders, '--ask', '--parameters', 'note=x');
    await left.answer('a text [x] ›', '\r');
    await left.answer('a number [2] ›', 'many\r');
    await left.answer('"many" is of another type: give a number', '\x03');
    expect(await left.ended()).toBe(130);
    expect(left.shown).toContain('nothing was started');
    expect(await executions()).toEqual(before);
  });

  it('are told at once where nobody can be asked: of a folder, a commit of a repository, a source', async () => {
    const remote = new GitRemote(kiln.directory, 'shop');
    const pipeline = { Parameters, Triggers: { push: {} }, StartAt: 'Told', States: { Told } };
    remote.commit('first', { 'pipeline.yaml': JSON.stringify(pipeline) });
    remote.git('tag', 'v1');
    remote.push('main', 'v1');
    const refused = await kiln.run(
      'pipeline',
      'run',
      remote.url,
      '--at',
      'v1',
      '--parameters',
      'cuont=1,where=a',
    );
    expect(refused).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /cuont: is not a parameter[\s\S]*mean "count"[\s\S]*note: is missing[\s\S]*where: is not allowed[\s\S]*one of stage, live[\s\S]*careful: is missing[\s\S]*→ Give --parameters 'note=TEXT,where=stage\|live,careful=true\|false'/,
      ),
    });
    const right = ['--parameters', 'note=now,careful=true'];
    const run = await kiln.json<Execution>('pipeline', 'run', remote.url, '--at', 'v1', ...right);
    expect(run).toMatchObject({
      status: 'SUCCEEDED',
      output: { note: 'now', count: 2, where: 'stage', careful: true },
      input: { commit: { message: 'first' }, trigger: { source: { repository: remote.url } } },
    });
    const checkouts = () => readdir(path.join(kiln.state, 'pipelines/checkouts'));
    await until('its folder is gone', async () => (await checkouts()).length === 0);

    const watch = ['pipeline', 'watch', remote.url, '--parameters'] as const;
    const never = await kiln.run(...watch, 'note=kept,cuont=1');
    expect([never.code, never.stderr]).toEqual([2, expect.stringMatching(/cuont[\s\S]*mean "count"/)]);
    const { id } = await kiln.json<{ id: string }>(...watch, 'note=kept');
    const start = (body: object) => kiln.call('POST', `/api/v1/sources/${id}/start`, body);
    const wrong = await start({ parameters: { careful: 'perhaps', count: 'x' } });
    expect([wrong.status, await wrong.json()]).toEqual([
      400,
      expect.objectContaining({
        faults: [expect.objectContaining({ path: 'count' }), expect.objectContaining({ path: 'careful' })],
      }),
    ]);
    expect((await start({ at: 'v9', parameters: { careful: true } })).status).toBe(400);
    // A source may be said by its component, which without a kiln.yaml is the repository.
    const { execution } = await kiln.json<{ execution: string }>(
      'pipeline',
      'start',
      'shop',
      '--at',
      'v1',
      '--parameters',
      'careful=true',
    );
    await until(
      'the source has started',
      async () => (await kiln.run('pipeline', 'show', execution)).code === 0,
    );
    expect(await ended(execution)).toMatchObject({ output: { note: 'kept', careful: true } });
    await kiln.json('pipeline', 'unwatch', 'shop');
  });
});

describe('the default pipeline', () => {
  it('goes from a folder to live, over a crash while it waits for a person', async () => {
    const app = await kiln.example('storefront');
    const run = await kiln.json<Execution>('pipeline', 'run', app);
    expect(run).toMatchObject({ status: 'RUNNING', waits: [{ state: 'Approve', kind: 'approval' }] });
    expect((await kiln.ask('storefront.stage.localhost')).status).toBe(200);
    await kiln.kill();
    await kiln.serve();
    const why = await kiln.run('pipeline', 'why', run.id);
    expect(why.stdout).toContain('waits for a deployer to approve: storefront to live/local');
    expect(why.stdout).toMatch(/storefront \S+ to live\/local: nothing runs there yet/);
    expect(why.stdout).toMatch(/check +smoke at stage\/local: passed \(\d+ passed, 0 failed\)/);
    expect(why.stdout).toMatch(/config +added +store_name/);
    expect(why.stdout).not.toContain('The Kiln Shop');
    await kiln.json('pipeline', 'approve', run.id, '--why', 'seen on stage');
    const execution = await ended(run.id);
    expect(execution).toMatchObject({
      status: 'SUCCEEDED',
      output: {
        approval: {
          approved: true,
          why: 'seen on stage',
          releases: [{ component: 'storefront', environment: 'live/local', image: expect.any(String) }],
        },
      },
    });
    expect((await kiln.ask('storefront.live.localhost')).status).toBe(200);
    const logs = await kiln.run('pipeline', 'logs', run.id);
    expect([logs.code, logs.stdout]).toEqual([0, expect.stringMatching(/traffic|weight|route/i)]);
    expect(logs.stderr).toMatch(/Bake/);
    const health = await kiln.run('pipeline', 'health', 'storefront');
    expect(health.stdout).toMatch(/storefront: healthy[\s\S]*deployed to live\s+1 times/);
    const found = await kiln.run(
      'pipeline',
      'list',
      '--status',
      'succeeded',
      '--text',
      'STOREFRONT',
      '--since',
      '1h',
    );
    expect(found.stdout).toContain(run.id);
    expect((await kiln.run('pipeline', 'list', '--until', '1h')).stdout).not.toContain(run.id);
  });

  it('takes what is proven to an environment as a release train, without a component of its own', async () => {
    const directory = path.join(kiln.directory, 'train');
    await mkdir(directory);
    const text = await readFile(path.join(ROOT, 'docs/pipeline.md'), 'utf8');
    const [, train = ''] = /```yaml\n(Comment: what is proven goes live[^`]+)```/.exec(text) ?? [];
    const file = path.join(directory, 'pipeline.yaml');
    await writeFile(file, train.replaceAll('live/uk', 'train/local'));
    const watched = await kiln.run('pipeline', 'watch', directory);
    expect(watched.stdout).toMatch(/train: .*0 10 \* \* 1-5/);
    const run = await kiln.json<Execution>('pipeline', 'run', directory);
    expect(run.waits).toMatchObject([
      {
        state: 'Approve',
        releases: [{ known: true, image: { component: 'storefront' }, replaces: { kind: 'nothing' } }],
      },
    ]);
    await kiln.json('pipeline', 'approve', run.id);
    expect(await ended(run.id)).toMatchObject({
      status: 'SUCCEEDED',
      output: [{ component: 'storefront', environment: 'train/local', changed: true }],
    });
    const next = await kiln.json<Execution>('pipeline', 'run', directory);
    expect(next.waits).toMatchObject([{ state: 'Approve', releases: [] }]);
    await kiln.json('pipeline', 'cancel', next.id);
  });

  it('waits before it deploys to an environment that is paused, says so, and goes on afterwards', async () => {
    const deploy = { component: 'storefront', environment: 'stage/local', image: 'storefront:proven' };
    const Deploy = { Type: 'Task', Resource: 'deploy', Parameters: deploy, End: true };
    const directory = await component('held', { Deploy });
    await kiln.json('pipeline', 'pause', 'stage/local', '--why', 'a freeze');
    const { id } = await kiln.json<Execution>('pipeline', 'run', directory, '--detach');
    await until('why says so', async () =>
      (await kiln.run('pipeline', 'why', id)).stdout.includes('stage/local was paused by local: a freeze'),
    );
    await kiln.kill();
    await kiln.serve();
    expect((await kiln.run('pipeline', 'paused')).stdout).toContain('a freeze');
    expect(await show(id)).toMatchObject({ status: 'RUNNING' });
    await kiln.json('pipeline', 'resume', 'stage/local');
    expect(await ended(id)).toMatchObject({ status: 'SUCCEEDED', output: { environment: 'stage/local' } });
  });

  it('is written out to be changed, once', async () => {
    const app = await kiln.example('counter');
    await kiln.json('pipeline', 'eject', app);
    expect(await readFile(path.join(app, 'pipeline.yaml'), 'utf8')).toContain('Resource: promote');
    expect((await kiln.run('pipeline', 'eject', app)).code).toBe(4);
  });
});

describe('a cancelled execution', () => {
  it('ends the deployment that it began, also through a pipeline that it started, and over a crash', async () => {
    const directory = await component('stuck', {
      Inner: {
        Type: 'Task',
        Resource: 'pipeline',
        Parameters: { 'directory.$': '$.trigger.source.location', file: 'inner.json' },
        End: true,
      },
    });
    await writeFile(
      path.join(directory, 'kiln.yaml'),
      'component: stuck\nimage: {kind: bundle, run: sleep 600}\nservice: {port: 8080, health: {path: /, startup: 10m}}\n',
    );
    const deploy = { component: 'stuck', environment: 'stage/local', 'image.$': '$.image.id' };
    const inner = {
      StartAt: 'Bake',
      States: {
        Bake: {
          Type: 'Task',
          Resource: 'bake',
          Parameters: { 'directory.$': '$.trigger.source.location' },
          ResultPath: '$.image',
          Next: 'Deploy',
        },
        Deploy: { Type: 'Task', Resource: 'deploy', Parameters: deploy, End: true },
      },
    };
    await writeFile(path.join(directory, 'inner.json'), JSON.stringify(inner));
    const { id } = await kiln.json<Execution>('pipeline', 'run', directory, '--detach');
    const deployments = async () => {
      const answer = await kiln.call('GET', '/api/v1/deployments?limit=50');
      const page = (await answer.json()) as { items: { component: string; state: string }[] };
      return page.items.filter((one) => one.component === 'stuck').map(({ state }) => state);
    };
    await until('it is deployed', async () => (await deployments()).includes('running'));
    // The cancel is durable before anything follows from it: a server that dies then goes on with it.
    await kiln.call('POST', `/api/v1/executions/${id}/cancel`, {}, { 'idempotency-key': 'cancel-it' });
    await kiln.kill();
    await kiln.serve();
    await until('nothing is left of it', async () => (await deployments()).join() === 'cancelled');
    const { items } = await kiln.json<{ items: Execution[] }>('pipeline', 'list', 'stuck');
    expect(items.map(({ status }) => status)).toEqual(['ABORTED', 'ABORTED']);
  });
});

describe('images', () => {
  it('are scanned, and a container is not made of what is none', async () => {
    const from = { 'directory.$': '$.trigger.source.location' };
    const directory = await component('looked', {
      Bake: { Type: 'Task', Resource: 'bake', Parameters: from, ResultPath: '$.image', Next: 'Scan' },
      Scan: {
        Type: 'Task',
        Resource: 'scan',
        Parameters: { 'image.$': '$.image.id' },
        ResultPath: '$.scan',
        Next: 'Container',
      },
      Container: {
        Type: 'Task',
        Resource: 'microtica.actions.docker.build',
        Parameters: { 'sourceLocation.$': '$.trigger.source.location' },
        End: true,
      },
    });
    const { id } = JSON.parse((await kiln.run('pipeline', 'run', directory, '--json')).stdout) as Execution;
    expect(await ended(id)).toMatchObject({ status: 'FAILED', error: 'image.unfit' });
    const { history } = await show(id);
    expect(history.find(({ type, state }) => type === 'TaskSucceeded' && state === 'Scan')).toMatchObject({
      output: { passed: true },
    });
  });
});

describe('a task token', () => {
  it('ends the task that waits for it, once, and leads nowhere else', async () => {
    const tokens: string[] = [];
    const outside = createServer((request, response) => {
      request
        .on('data', (body) => tokens.push(JSON.parse(String(body)).token))
        .on('end', () => response.end());
    }).listen(0, '127.0.0.1');
    await once(outside, 'listening');
    const { port } = outside.address() as AddressInfo;
    const ask = (next: object) => ({
      Type: 'Task',
      Resource: 'http.waitForTaskToken',
      Parameters: { url: `http://127.0.0.1:${port}`, method: 'POST', body: { 'token.$': '$$.Task.Token' } },
      HeartbeatSeconds: 600,
      ...next,
    });
    const states = { One: ask({ Next: 'Two' }), Two: ask({ End: true }) };
    const directory = await component('asks', states);
    const { id } = await kiln.json<Execution>('pipeline', 'run', directory, '--detach');
    const asked = async (count: number) => {
      await until('it is asked', async () => tokens.length === count);
      await until('it waits', async () => (await show(id)).waits.some(({ kind }) => kind === 'token'));
      return tokens[count - 1] ?? '';
    };
    const say = async (what: string, body: object) =>
      (await kiln.call('POST', `/api/v1/task-tokens/${what}`, body)).status;
    const taskToken = await asked(1);
    expect(await say('heartbeat', { taskToken })).toBe(200);
    expect(await say('success', { taskToken: `${taskToken.slice(0, -1)}!`, output: 1 })).toBe(404);
    expect(await say('success', { taskToken, output: { n: 1 } })).toBe(200);
    const second = await asked(2);
    expect(await say('failure', { taskToken, error: 'Late' })).toBe(404);
    expect(await say('failure', { taskToken: second, error: 'Outside.Broken', cause: 'said so' })).toBe(200);
    expect(await ended(id)).toMatchObject({ status: 'FAILED', error: 'Outside.Broken', cause: 'said so' });
    outside.close();
  });
});

describe('commands', () => {
  const gates: Gate[] = [];
  const gated = async () => {
    const gate = await openGate();
    gates.push(gate);
    return gate;
  };
  afterAll(() => {
    for (const gate of gates) gate.close();
  });

  it('run in a copy of the source, do not see the state directory, and are gone on with from where they failed', async () => {
    const gate = await gated();
    const directory = await component('worker', {
      First: task([`test ! -e ${kiln.state}/token`, 'echo changed > kiln.yaml'], {
        ResultPath: '$.first',
        Next: 'Second',
      }),
      Second: task([`echo looking; ${gate.isOpen}`]),
    });
    const failed = await kiln.run('pipeline', 'run', directory, '--json');
    expect(failed.code).toBe(1);
    const execution: Execution = JSON.parse(failed.stdout);
    expect(execution).toMatchObject({
      status: 'FAILED',
      error: 'Cmd.Failed',
      cause: expect.stringContaining('looking'),
    });
    expect(await readFile(path.join(directory, 'kiln.yaml'), 'utf8')).toContain('component: worker');
    gate.open();
    const again = await kiln.json<Execution>('pipeline', 'retry', execution.id);
    expect(again).toMatchObject({ status: 'SUCCEEDED', output: { exitCode: 0 } });
    const entered = (await show(again.id)).history.filter(({ type }) => type === 'TaskStateEntered');
    expect(entered.map(({ state }) => state)).toEqual(['Second']);
  });

  it('have logs that are followed while they run, resumed, read from any line, and downloaded', async () => {
    const gate = await gated();
    const directory = await component('wordy', {
      Build: task(['seq -f "line %.0f" 1 30000', gate.wait, "printf '\\033[32mdone\\033[0m\\n'"]),
    });
    const { id } = await kiln.json<Execution>('pipeline', 'run', directory, '--detach');
    const logs = async () => {
      const answer = await kiln.call('GET', `/api/v1/executions/${id}/logs`);
      const { items } = (await answer.json()) as { items: { task: string; lines: number; live: boolean }[] };
      return items[0];
    };
    await until('it has written', async () => ((await logs())?.lines ?? 0) >= 30_000);
    const { task: name = '', live } = (await logs()) ?? {};
    expect(live).toBe(true);
    const followed = kiln.run('pipeline', 'logs', id, 'Build', '-f', '--from', '29999');
    const log = `/api/v1/executions/${id}/logs/${name}`;
    const lines = await (await kiln.call('GET', `${log}/lines?from=12345&limit=2`)).json();
    const shown = (text: string) => ({ text, cut: false });
    expect(lines).toEqual({
      from: 12345,
      lines: 30_000,
      live: true,
      items: [shown('line 12345'), shown('line 12346')],
    });
    // Cut after the first piece; the next reader goes on after it.
    const cut = await kiln.call('GET', log);
    let first = '';
    for await (const piece of cut.body ?? []) {
      first += Buffer.from(piece).toString();
      if (first.includes('\n\n')) break;
    }
    const [head = ''] = first.split('\n\n');
    gate.open();
    const rest = await kiln.call('GET', log, undefined, {
      'last-event-id': /^id: (\d+)$/m.exec(head)?.[1] ?? '',
    });
    const events = `${head}\n\n${await rest.text()}`.split('\n\n').filter((event) => event !== '');
    const text = events.map((event) => JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? '{}').text ?? '');
    const whole = `${Array.from({ length: 30_000 }, (_, at) => `line ${at + 1}\n`).join('')}\u001b[32mdone\u001b[0m\n`;
    expect(text.join('') === whole).toBe(true);
    expect(events.at(-1)).toContain('event: end');
    expect((await (await kiln.call('GET', `${log}/text`)).text()) === whole).toBe(true);
    const { code, stdout, stderr } = await followed;
    expect([code, stdout]).toEqual([0, 'line 29999\nline 30000\n\u001b[32mdone\u001b[0m\n']);
    expect(stderr).toContain('▸ printf');
    expect((await kiln.call('GET', `/api/v1/executions/${id}/logs/nothing`)).status).toBe(404);
  });

  it('end with their server, and are reported as of unknown outcome', async () => {
    const gate = await gated();
    const directory = await component('slow', {
      Slow: task([gate.say('begun'), 'sleep 20', gate.say('left')], {
        Catch: [{ ErrorEquals: ['Kiln.OutcomeUnknown'], Next: 'Lost' }],
        End: true,
      }),
      Lost: { Type: 'Pass', Result: 'lost', End: true },
    });
    const { id } = await kiln.json<Execution>('pipeline', 'run', directory, '--detach');
    await until('the command has begun', async () => gate.heard.includes('begun'));
    await kiln.kill();
    await kiln.serve();
    expect(await ended(id)).toMatchObject({ status: 'SUCCEEDED', output: 'lost' });
    expect(gate.heard).toEqual(['begun']);
  });

  it('take longer than their heartbeat while they run, and say how far they are', async () => {
    const gate = await gated();
    const commands = [`printf '\\033[1mhalf\\033[0m way\\n\\n'; ${gate.wait}`];
    const directory = await component('beating', {
      Long: task(commands, { HeartbeatSeconds: 4, End: true }),
    });
    const { id } = await kiln.json<Execution>('pipeline', 'run', directory, '--detach');
    await until('why shows its line', async () =>
      (await kiln.run('pipeline', 'why', id)).stdout.includes('cmd is at work: half way'),
    );
    const [waits] = (await show(id)).waits;
    await until('its heartbeat is past', async () => Date.now() > (waits?.sinceMs ?? Infinity) + 4_500);
    expect(await show(id)).toMatchObject({ status: 'RUNNING', waits: [{ progress: 'half way' }] });
    gate.open();
    expect(await ended(id)).toMatchObject({ status: 'SUCCEEDED' });
  });

  it('are ended by a cancel', async () => {
    const directory = await component('endless', { Wait: task(['sleep 600']) });
    const { id } = await kiln.json<Execution>('pipeline', 'run', directory, '--detach');
    await until('it runs', async () => (await show(id)).history.some(({ type }) => type === 'TaskStarted'));
    expect(await kiln.json('pipeline', 'cancel', id)).toMatchObject({
      status: 'ABORTED',
      error: 'Kiln.Cancelled',
    });
  });

  it('are refused at load where the task is not there yet', async () => {
    const directory = await component('early', { Early: { Type: 'Task', Resource: 'migrate', End: true } });
    const refused = await kiln.run('pipeline', 'run', directory);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('not there yet') });
  });
});
