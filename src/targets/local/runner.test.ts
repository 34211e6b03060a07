import { expect, test } from 'vitest';
import { parseStatus } from './runner.ts';

test('status lines are read from both runners, and half a line says nothing', () => {
  expect(parseStatus('')).toEqual({});
  expect(parseStatus('{ "child-pid": 12')).toEqual({});
  expect(parseStatus('{ "child-pid": 12 }\n')).toEqual({ childPid: 12 });
  expect(parseStatus('{ "child-pid": 12, "ipc-namespace": 4026532179 }\n{ "exit-code": 0 }\n')).toEqual({
    childPid: 12,
    exitCode: 0,
  });
});
