/** What holds of the interpreter for any machine, any outcome of its tasks and any crash. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { advance, outstanding, pendingExecution } from '../../src/pipeline/asl/advance.ts';
import type { Execution } from '../../src/pipeline/asl/execution.ts';
import { loadStateMachine } from '../../src/pipeline/asl/load.ts';
import { machines } from './random-machine.ts';
import { INPUT, live } from './random-world.ts';

/** A failure is shown as it was found, and slow machines cost runs, not a hung suite. */
function runs(numRuns: number): fc.Parameters<unknown> {
  return { numRuns, endOnFailure: true, interruptAfterTimeLimit: 15_000 };
}

const seeds = fc.integer({ min: 1, max: 2 ** 31 });

describe('advance', () => {
  it('gives the same from the same events, written and read between any of them', async () => {
    await fc.assert(
      fc.asyncProperty(machines(), seeds, async (definition, seed) => {
        const machine = await loadStateMachine(definition);
        const { execution, events } = await live(machine, seed, 0);
        let replayed: Execution = pendingExecution(INPUT);
        for (const event of events) {
          const advanced = await advance(machine, replayed, JSON.parse(JSON.stringify(event)));
          replayed = JSON.parse(JSON.stringify(advanced.execution));
        }
        expect(replayed).toEqual(execution);
      }),
      runs(150),
    );
  });

  it('takes no event twice, however late it comes again', async () => {
    await fc.assert(
      fc.asyncProperty(machines(), seeds, fc.nat(), async (definition, seed, pick) => {
        const machine = await loadStateMachine(definition);
        const { execution, events } = await live(machine, seed, 0);
        let repeated: Execution = pendingExecution(INPUT);
        for (const [at, event] of events.entries()) {
          repeated = (await advance(machine, repeated, event)).execution;
          const again = [event, events[(pick + at * 7) % (at + 1)] ?? event];
          for (const late of again) {
            const advanced = await advance(machine, repeated, late);
            expect(advanced.execution).toEqual(repeated);
            expect(advanced.history).toEqual([]);
            expect(advanced.effects.filter(({ type }) => type !== 'setTimer')).toEqual([]);
          }
        }
        expect(repeated).toEqual(execution);
      }),
      runs(100),
    );
  });

  it('ends every execution, with everything forgotten and asked again at any moment', async () => {
    await fc.assert(
      fc.asyncProperty(
        machines(),
        seeds,
        fc.constantFrom(0, 0.1, 0.5, 1),
        async (definition, seed, crashes) => {
          const machine = await loadStateMachine(definition);
          const { execution } = await live(machine, seed, crashes);
          expect(['SUCCEEDED', 'FAILED']).toContain(execution.status);
          expect(execution.threads).toEqual({});
          expect(outstanding(execution)).toEqual([]);
        },
      ),
      runs(200),
    );
  });

  it('waits for something with a time in every thread, after every event', async () => {
    await fc.assert(
      fc.asyncProperty(machines(), seeds, async (definition, seed) => {
        const machine = await loadStateMachine(definition);
        const { events } = await live(machine, seed, 0);
        let execution: Execution = pendingExecution(INPUT);
        for (const event of events) {
          execution = (await advance(machine, execution, event)).execution;
          const threads = Object.values(execution.threads);
          expect(threads.map(({ waitsFor }) => waitsFor.kind)).not.toContain('turn');
          const leaves = threads.filter(({ waitsFor }) => !('threads' in waitsFor));
          const timers = outstanding(execution).filter(({ type }) => type === 'setTimer');
          expect(timers.length).toBe(leaves.length);
          expect(threads.length > 0).toBe(execution.status === 'RUNNING');
        }
      }),
      runs(100),
    );
  });

  it('ends a loop that waits for nothing, by its history', async () => {
    const machine = await loadStateMachine({
      StartAt: 'A',
      States: {
        A: { Type: 'Pass', Next: 'B' },
        B: { Type: 'Choice', Choices: [{ Variable: '$.a', IsPresent: true, Next: 'End' }], Default: 'A' },
        End: { Type: 'Succeed' },
      },
    });
    const advanced = await advance(machine, pendingExecution({}), { type: 'started', atMs: 0, entropy: 'e' });
    expect(advanced.execution).toMatchObject({
      status: 'FAILED',
      error: 'States.Runtime',
      cause: expect.stringContaining('25000'),
    });
    expect(advanced.history.length).toBe(25_001);
  });
});
