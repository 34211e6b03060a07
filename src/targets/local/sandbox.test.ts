import { expect, test } from 'vitest';
import { type SandboxPlan, sandboxCommand } from './sandbox.ts';

const plan: SandboxPlan = {
  bwrap: '/usr/bin/bwrap',
  image: '/state/images/abc',
  home: '/state/i/home',
  temporary: '/state/i/tmp',
  volumes: [
    { source: '/state/volumes/data', path: '/app/data' },
    { source: '/state/volumes/big', path: '/data' },
  ],
  files: [{ source: '/state/i/files/0', path: '/app/config/app.json' }],
  host: {
    root: [
      { kind: 'directory', name: 'usr' },
      { kind: 'link', name: 'bin', target: 'usr/bin' },
      { kind: 'directory', name: 'proc' },
      { kind: 'directory', name: 'tmp' },
      { kind: 'directory', name: 'app' },
    ],
    hidden: [
      { path: '/state', kind: 'directory' },
      { path: '/run/docker.sock', kind: 'file' },
      { path: '/tmp/other', kind: 'directory' },
    ],
    shown: ['/usr', '/state/runtime/node', '/tmp/checkout/node'],
  },
  asRoot: false,
  command: ['/bin/sh', '-c', 'exec node web.js'],
};

test('the whole command', () => {
  expect(sandboxCommand(plan)).toEqual([
    '/usr/bin/bwrap',
    ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--new-session'],
    ...['--json-status-fd', '3'],
    ...['--ro-bind-try', '/usr', '/usr'],
    ...['--symlink', 'usr/bin', '/bin'],
    ...['--proc', '/proc', '--dev', '/dev'],
    ...['--bind', '/state/i/tmp', '/tmp'],
    ...['--bind', '/state/i/home', '/scratch'],
    ...['--tmpfs', '/state'],
    ...['--ro-bind', '/dev/null', '/run/docker.sock'],
    ...['--ro-bind', '/state/runtime/node', '/state/runtime/node'],
    ...['--ro-bind', '/tmp/checkout/node', '/tmp/checkout/node'],
    ...['--remount-ro', '/state'],
    ...['--ro-bind', '/state/images/abc', '/app'],
    ...['--bind', '/state/volumes/data', '/app/data'],
    ...['--bind', '/state/volumes/big', '/data'],
    ...['--ro-bind', '/state/i/files/0', '/app/config/app.json'],
    ...['--remount-ro', '/'],
    ...['--chdir', '/app', '--', '/bin/sh', '-c', 'exec node web.js'],
  ]);
});

test('what runs as root keeps no power that could undo a mount', () => {
  const command = sandboxCommand({ ...plan, asRoot: true });
  expect(command.slice(command.indexOf('--cap-drop'), command.indexOf('--cap-drop') + 2)).toEqual([
    '--cap-drop',
    'ALL',
  ]);
  expect(command).not.toContain('CAP_SYS_ADMIN');
  expect(command).not.toContain('CAP_SYS_PTRACE');
  expect(command).not.toContain('CAP_MKNOD');
});

test('nothing is shown that would uncover what is hidden', () => {
  const command = sandboxCommand({ ...plan, host: { ...plan.host, shown: ['/', '/state', '/tmp'] } });
  expect(command.join(' ')).not.toMatch(/--ro-bind (\/|\/state|\/tmp) /);
});

test('instances are not tied to the server', () => {
  expect(sandboxCommand(plan)).not.toContain('--die-with-parent');
});
