import { expect, test } from 'vitest';
import { exitStatus } from './exit-status.ts';

test('an exit code above 128 is the signal it stands for, where there is one', () => {
  expect(exitStatus(0)).toEqual({ exitCode: 0, signal: null });
  expect(exitStatus(143)).toEqual({ exitCode: null, signal: 'SIGTERM' });
  expect(exitStatus(255)).toEqual({ exitCode: 255, signal: null });
});
