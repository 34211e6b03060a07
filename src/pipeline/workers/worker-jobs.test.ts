import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { PLAIN_COMMAND } from '../../../test/pipeline/plain-command.ts';
import type { TaskCall } from '../task.ts';
import { WorkerJobs } from './worker-jobs.ts';

const nobody = () => Promise.reject(new Error('nobody asks for files'));
const noFiles = {
  artifacts: { sweep: nobody, write: nobody, read: nobody, trim: nobody },
  sources: { bring: nobody },
  clock: { now: () => 0 },
  searchPath: '',
  newId: () => 'x',
  folder: '/nonexistent',
};

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("a state's heartbeat is the server's until its job begins, and then its worker's", async () => {
  let ids = 0;
  let beats = 0;
  const log = {
    write: async () => undefined,
    group: async () => undefined,
    tail: async () => '',
    close: async () => undefined,
  };
  const jobs = new WorkerJobs({
    logs: { open: async () => log },
    secrets: { read: async () => '' },
    files: noFiles,
    newId: () => `id-${++ids}`,
    server: 'one',
  });
  const request: TaskCall['request'] = {
    type: 'runTask',
    task: 'task1',
    state: 'Far',
    resource: 'cmd',
    arguments: null,
    ends: 'answered',
    attempt: 0,
    timeoutAtMs: 1e12,
    heartbeatMs: 3_000,
  };
  const call: TaskCall = {
    key: 'exec-1/task1',
    execution: 'exec-1',
    pipeline: 'far',
    actor: 'somebody',
    request,
    arguments: null,
    priority: 0,
    sinceMs: 0,
    again: false,
    begins: async () => undefined,
    beat: () => {
      beats += 1;
    },
  };
  const stop = new AbortController();
  const strange = { ...call, rights: { role: 'viewer', environments: [] } } as const;
  await expect(
    jobs.run({ ...PLAIN_COMMAND, secrets: { TOKEN: 'token' } }, ['far'], strange, stop.signal),
  ).rejects.toMatchObject({ code: 'auth.denied' });
  const running = jobs.run(PLAIN_COMMAND, ['far'], call, stop.signal);
  await vi.advanceTimersByTimeAsync(9_500);
  expect(beats).toBe(9);
  const offer = await jobs.take('one', ['far'], 1_000, stop.signal);
  const { id = '', lease = '', heartbeatMs } = offer ?? {};
  expect(heartbeatMs).toBe(3_000);
  await jobs.begin(id, lease);
  await vi.advanceTimersByTimeAsync(4_000);
  expect(beats).toBe(10);
  for (let word = 0; word < 20; word += 1) jobs.beat(id, lease);
  await vi.advanceTimersByTimeAsync(4_000);
  expect(beats).toBe(11);
  const output = { exitCode: 0, output: 'done' };
  jobs.end(id, lease, { output });
  expect(await running).toEqual(output);
  expect(vi.getTimerCount()).toBe(0);
});
