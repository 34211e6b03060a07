/** `kiln pipeline` and `kiln/asl` as they are installed: the launcher, and the package from its built files. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../..');
const execute = promisify(execFile);
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kiln-pipeline-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function write(name: string, content: unknown): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

async function kiln(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  try {
    const { stdout, stderr } = await execute(path.join(root, 'bin/kiln'), args, {
      env: { ...process.env, NO_COLOR: '1' },
    });
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const failed = error as { code: number; stdout: string; stderr: string };
    return { code: failed.code, out: failed.stdout, err: failed.stderr };
  }
}

const PIPELINE = `StartAt: Build
States:
  Build:
    Type: Task
    Resource: cmd
    Parameters: {version.$: $.version, by.$: $$.Execution.Name}
    Retry: [{ErrorEquals: [Flaky], IntervalSeconds: 3600}]
    Catch: [{ErrorEquals: [States.ALL], Next: Sorry}]
    Next: Settle
  Settle: {Type: Wait, Seconds: 86400, End: true}
  Sorry: {Type: Fail, Error: Sorry, CausePath: $.Cause}
`;

describe('kiln pipeline', () => {
  it('tries a pipeline in no time and prints how it ended', async () => {
    const definition = await write('pipeline.yaml', PIPELINE);
    const input = await write('input.json', { version: '1.2.0' });
    const context = await write('context.json', { Execution: { Name: 'dry' } });
    const mocks = await write('mocks.json', {
      cmd: [
        { request: { version: '1.2.0', by: 'dry' }, error: 'Flaky', cause: 'network' },
        { output: { digest: 'sha256:1' } },
      ],
    });
    const files = ['--definition', definition, '--input', input, '--context', context];
    const good = await kiln('pipeline', 'try', ...files, '--mocks', mocks, '--json');
    expect(good.code).toBe(0);
    expect(JSON.parse(good.out)).toEqual({
      status: 'SUCCEEDED',
      output: { digest: 'sha256:1' },
      stateSequence: ['Build', 'Settle'],
    });
    const broken = await write('broken.json', { Build: [{ error: 'Compile', cause: 'line 3' }] });
    const bad = await kiln('pipeline', 'try', ...files, '--mocks', broken, '--json');
    expect(bad.code).toBe(0);
    expect(JSON.parse(bad.out)).toEqual({
      status: 'FAILED',
      error: 'Sorry',
      cause: 'line 3',
      stateSequence: ['Build', 'Sorry'],
    });
    const told = await kiln('pipeline', 'try', ...files, '--mocks', broken);
    expect(told).toMatchObject({ code: 1, out: expect.stringContaining('Sorry: line 3') });
  });

  it('refuses a wrong definition and a task without a result, saying what to do', async () => {
    const wrong = await write('wrong.yaml', PIPELINE.replace('Next: Settle', 'Next: Setle'));
    const refused = await kiln('pipeline', 'try', '--definition', wrong);
    expect(refused.code).toBe(2);
    expect(refused.err).toContain('wrong.yaml:9:11');
    expect(refused.err).toContain('did you mean "Settle"?');
    const definition = await write('pipeline.yaml', PIPELINE);
    const input = await write('input.json', { version: '1' });
    const unanswered = await kiln('pipeline', 'try', '--definition', definition, '--input', input);
    expect(unanswered).toMatchObject({ code: 2, err: expect.stringContaining('"cmd": [{"output"') });
  });

  it('draws a pipeline', async () => {
    const definition = await write('pipeline.yaml', PIPELINE);
    const drawn = await kiln('pipeline', 'graph', '--definition', definition);
    expect(drawn.out).toContain('flowchart TD');
    const picture = await kiln('pipeline', 'graph', '--definition', definition, '--format', 'svg');
    expect(picture.out).toMatch(/^<svg .*<\/svg>\s*$/s);
  });
});

it('kiln/asl is one call', async () => {
  const program = `
    import { run } from 'kiln/asl';
    const definition = {StartAt: 'A', States: {A: {Type: 'Task', Resource: 'r', QueryLanguage: 'JSONata',
      Arguments: '{% $states.input.n + 1 %}', Output: '{% $states.result & "!" %}', End: true}}};
    const result = await run(definition, {n: 1}, {mocks: (task) => ({output: task.arguments * 10})});
    const {history, ...shown} = result;
    console.log(JSON.stringify(shown));`;
  const { stdout } = await execute(process.execPath, ['--input-type=module', '-e', program], { cwd: root });
  expect(JSON.parse(stdout)).toEqual({ status: 'SUCCEEDED', output: '20!', stateSequence: ['A'] });
});
