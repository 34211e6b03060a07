import { describe, expect, it } from 'vitest';
import { advance, outstanding, pendingExecution } from '../asl/advance.ts';
import type { StateMachine } from '../asl/definition.ts';
import type { Execution, ExecutionEvent } from '../asl/execution.ts';
import { loadStateMachine } from '../asl/load.ts';
import { Machines } from '../executor/machines.ts';
import { RESOURCES } from '../task-registry.ts';
import { lastMoment, waitsOf, withinExecution } from '../why.ts';
import { type LimitOf, verbLimits, withLimits } from './verb-limits.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const limitOf = verbLimits(RESOURCES, { scan: 60 });

/** One Task that fails, and a Pass that says with what. */
function machineOf(task: object, limits: LimitOf = limitOf): Promise<StateMachine> {
  const caught = { ErrorEquals: ['States.Timeout'], Next: 'Late' };
  const states = {
    Do: { Type: 'Task', ...task, Catch: [caught], End: true },
    Late: { Type: 'Pass', End: true },
  };
  return loadStateMachine({ StartAt: 'Do', States: states }).then((machine) => withLimits(machine, limits));
}

function event(atMs: number, part: object): ExecutionEvent {
  return { ...part, atMs, entropy: '0'.repeat(32) } as ExecutionEvent;
}

async function begun(machine: StateMachine): Promise<Execution> {
  const { execution } = await advance(machine, pendingExecution({}), event(0, { type: 'started' }));
  return execution;
}

/** When its timer is set for. */
function dueAtMs(execution: Execution): number {
  const [timer] = outstanding(execution).flatMap((effect) =>
    effect.type === 'setTimer' ? [effect.atMs] : [],
  );
  return timer ?? Number.NaN;
}

function taskOf(execution: Execution): string {
  const [task] = outstanding(execution).flatMap((effect) => (effect.type === 'runTask' ? [effect.task] : []));
  return task ?? '';
}

/** What a Catch is told. */
async function lateOutput(machine: StateMachine, execution: Execution): Promise<unknown> {
  const fired = event(dueAtMs(execution), { type: 'timerFired', timer: taskOf(execution) });
  return (await advance(machine, execution, fired)).execution.output;
}

const CMD = { Resource: 'cmd', Parameters: { commands: ['true'] } };

describe('a Task whose state names no time-out', () => {
  it.each([
    ['of its verb', { Resource: 'bake' }, 4 * HOUR_MS],
    ['of the settings', { Resource: 'scan' }, 60_000],
    ['of what it waits for first, too', CMD, DAY_MS + 2 * HOUR_MS],
    [
      'longer where its own argument is',
      { ...CMD, Parameters: { timeoutSeconds: 7_200 } },
      DAY_MS + 3 * HOUR_MS,
    ],
    [
      'of the deadline of an approval',
      { Resource: 'approve', Parameters: { deadlineSeconds: 864_000 } },
      10 * DAY_MS + HOUR_MS,
    ],
    ['of a token', { Resource: 'http.waitForTaskToken' }, 7 * DAY_MS],
    ['of a verb as Microtica calls it', { Resource: 'microtica.actions.docker.build' }, 4 * HOUR_MS],
    ['of its own', { ...CMD, TimeoutSeconds: 5 }, 5_000],
    ['of AWS, where it is not Kiln’s', { Resource: 'arn:aws:lambda:x' }, 99_999_999_000],
  ])('has the limit %s', async (_, task, expected) => {
    expect(dueAtMs(await begun(await machineOf(task)))).toBe(expected);
  });

  it('ends as States.Timeout, and says what the limit was and where to change it', async () => {
    const machine = await machineOf({ Resource: 'scan' });
    expect(await lateOutput(machine, await begun(machine))).toEqual({
      Error: 'States.Timeout',
      Cause:
        'scan had not ended in time: it has 60 s, as its state says nothing else. ' +
        'Give the state TimeoutSeconds, or set pipelines.limitSeconds.scan in settings.yaml.',
    });
    const own = await machineOf({ Resource: 'scan', TimeoutSeconds: 5 });
    expect(await lateOutput(own, await begun(own))).toEqual({ Error: 'States.Timeout', Cause: '' });
  });

  it('has the time of its work from when it begins, once', async () => {
    const machine = await machineOf(CMD);
    const waiting = await begun(machine);
    const starts = (atMs: number) => event(atMs, { type: 'taskStarted', task: taskOf(waiting) });
    const { execution, effects } = await advance(machine, waiting, starts(HOUR_MS));
    expect(effects).toContainEqual({ type: 'setTimer', timer: taskOf(waiting), atMs: 3 * HOUR_MS });
    expect(dueAtMs(execution)).toBe(3 * HOUR_MS);
    const again = await advance(machine, execution, starts(2 * HOUR_MS));
    expect(dueAtMs(again.execution)).toBe(3 * HOUR_MS);
    expect(await lateOutput(machine, execution)).toMatchObject({
      Cause: expect.stringContaining('it has 7200 s from its beginning'),
    });
    // It never has longer than in all.
    const late = await advance(machine, waiting, starts(DAY_MS + HOUR_MS));
    expect(dueAtMs(late.execution)).toBe(DAY_MS + 2 * HOUR_MS);
  });

  it('is shown with its limit, and nothing with more than its execution has', async () => {
    const waiting = await begun(await machineOf(CMD));
    const [waits] = waitsOf(waiting, () => false);
    expect(waits).toMatchObject({
      untilMs: DAY_MS + 2 * HOUR_MS,
      limit: expect.stringContaining('pipelines.limitSeconds.cmd'),
    });
    if (waits === undefined) throw new Error('it waits');
    expect(withinExecution(waits, lastMoment(waiting, 2 * DAY_MS))).toBe(waits);
    expect(withinExecution(waits, lastMoment(waiting, DAY_MS))).toMatchObject({
      untilMs: DAY_MS,
      limit: expect.stringContaining('pipelines.longestDays'),
    });
    const { limit: _, ...inQueue } = { ...waits, untilMs: undefined };
    const ofMachine = { ...waiting, deadline: { timer: 'timer-1', atMs: HOUR_MS } };
    expect(
      withinExecution({ ...inQueue, untilMs: 2 * HOUR_MS }, lastMoment(ofMachine, DAY_MS)),
    ).toMatchObject({
      untilMs: HOUR_MS,
      limit: expect.stringContaining('TimeoutSeconds'),
    });
  });
});

it('what a Map reads or writes has a limit, too', async () => {
  const definition = {
    StartAt: 'Each',
    States: {
      Each: {
        Type: 'Map',
        ItemReader: { Resource: 'file.read', Parameters: { Path: 'a.json' } },
        ItemProcessor: {
          ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' },
          StartAt: 'One',
          States: { One: { Type: 'Task', Resource: 'promote', End: true } },
        },
        End: true,
      },
    },
  };
  const machine = withLimits(await loadStateMachine(definition), verbLimits(RESOURCES, { items: 7_200 }));
  expect(Object.keys(machine.limits ?? {})).toEqual(['file.read', 'promote']);
  const reading = await begun(machine);
  expect(dueAtMs(reading)).toBe(2 * HOUR_MS);
  const [read] = outstanding(reading);
  const timer = read?.type === 'readItems' ? read.task : '';
  const { execution } = await advance(machine, reading, event(2 * HOUR_MS, { type: 'timerFired', timer }));
  expect(execution).toMatchObject({
    error: 'States.ItemReaderFailed',
    cause: expect.stringContaining('To allow more, set pipelines.limitSeconds.items in settings.yaml.'),
  });
});

it('limits are kept with the definition: later settings change nothing that runs, nor do they what ran before there were any', async () => {
  const kept = new Map<string, unknown>();
  const store = {
    definition: async (name: string) => kept.get(name),
    putDefinition: async (name: string, definition: unknown) =>
      void kept.set(name, JSON.parse(JSON.stringify(definition))),
  };
  const machine = await machineOf({ Resource: 'scan' }, () => undefined);
  const before = await new Machines(store).put(machine);
  const then = await new Machines(store, limitOf).put(machine);
  const now = new Machines(store, verbLimits(RESOURCES, { scan: 5 }));
  expect(dueAtMs(await begun(await now.get(then)))).toBe(60_000);
  expect(dueAtMs(await begun(await now.get(before)))).toBe(99_999_999_000);
  expect(dueAtMs(await begun(await now.get(await now.put(machine))))).toBe(5_000);
});

it('settings that limit nothing are refused', () => {
  expect(() => verbLimits(RESOURCES, { deply: 60 })).toThrow(
    expect.objectContaining({ code: 'input.invalid', next: 'Did you mean deploy?' }),
  );
});

it('every task has a limit', () => {
  const usable = RESOURCES.filter(({ notYet }) => notYet === undefined);
  expect(usable.filter(({ limit }) => limit === undefined)).toEqual([]);
});
