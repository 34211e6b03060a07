import { describe, expect, test } from 'vitest';
import { exitStatus, parseStatus, shellCommand } from './runner.ts';

describe('the author’s line', () => {
  test.each(['node server.js', './bin/web --port "$PORT"', 'bundle exec puma -C config/puma.rb'])(
    'a simple command takes the place of its shell: %s',
    (line) => expect(shellCommand(line)).toEqual(['/bin/sh', '-c', `exec ${line}`]),
  );

  test.each([
    'cd api && node server.js',
    'NODE_ENV=production node server.js',
    'exec node server.js',
    'node a.js & node b.js; wait',
    'node server.js 2>&1 | tee out',
    'while true; do date; done',
    'echo one\necho two',
  ])('anything more stays with the shell: %s', (line) =>
    expect(shellCommand(line)).toEqual(['/bin/sh', '-c', line]),
  );
});

test('status lines are read from both runners, and half a line says nothing', () => {
  expect(parseStatus('')).toEqual({});
  expect(parseStatus('{ "child-pid": 12')).toEqual({});
  expect(parseStatus('{ "child-pid": 12 }\n')).toEqual({ childPid: 12 });
  expect(parseStatus('{ "child-pid": 12, "ipc-namespace": 4026532179 }\n{ "exit-code": 0 }\n')).toEqual({
    childPid: 12,
    exitCode: 0,
  });
});

test('an exit code above 128 is the signal it stands for, where there is one', () => {
  expect(exitStatus(0)).toEqual({ exitCode: 0, signal: null });
  expect(exitStatus(143)).toEqual({ exitCode: null, signal: 'SIGTERM' });
  expect(exitStatus(255)).toEqual({ exitCode: 255, signal: null });
});
