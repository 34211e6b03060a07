import { describe, expect, test } from 'vitest';
import { shellCommand } from './shell-command.ts';

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
