import { expect, test } from 'vitest';
import { statesOf } from './execution-graph.ts';

const history = (text: string) =>
  text
    .trim()
    .split(/\s+/)
    .map((entry) => {
      const [state = '', type = ''] = entry.split(':');
      return { state, type };
    });

test('a state runs, has succeeded, was caught or retried, has failed, or was stopped', () => {
  const way = history(`
    Build:TaskStateEntered Build:TaskScheduled Build:TaskFailed Build:TaskScheduled Build:TaskSucceeded Build:TaskStateExited
    Push:TaskStateEntered Push:TaskScheduled Push:TaskFailed Push:TaskStateExited
    Live:TaskStateEntered Live:TaskScheduled`);
  const of = (status: Parameters<typeof statesOf>[1]) => Object.fromEntries(statesOf(way, status));
  expect(of('RUNNING')).toEqual({ Build: 'succeeded', Push: 'caught', Live: 'running' });
  expect(of('ABORTED').Live).toBe('stopped');
  expect(of('TIMED_OUT').Live).toBe('failed');
  expect(Object.fromEntries(statesOf(history('Sorry:FailStateEntered'), 'FAILED'))).toEqual({
    Sorry: 'failed',
  });
  expect(statesOf(history('A:TaskStateEntered A:TaskStateAborted'), 'RUNNING').get('A')).toBe('stopped');
  const twice = history('Each:PassStateEntered Each:PassStateEntered Each:PassStateExited');
  expect(Object.fromEntries(statesOf(twice, 'RUNNING'))).toEqual({ Each: 'running' });
});
