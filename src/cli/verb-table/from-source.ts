/** From a folder to an image that is checked. */
import { DETACH, STATE, type VerbEntry } from './verb-entry.ts';

export const FROM_SOURCE: readonly VerbEntry[] = [
  {
    name: 'serve',
    args: '',
    summary: 'run the server in the foreground',
    options: [
      STATE,
      ['--listen <host:port>', 'where the API listens (KILN_LISTEN; default 127.0.0.1:7070)'],
      ['--router <driver>', 'built-in or haproxy (KILN_ROUTER)'],
      ['--router-listen <host:port>', 'where traffic comes in (KILN_ROUTER_LISTEN; default 127.0.0.1:7080)'],
      ['--take-over', 'take the state directory over from the server that works it now'],
    ],
    example: 'kiln serve --state /var/lib/kiln --listen 127.0.0.1:7070',
    interrupt: 'stops the server; instances and routers go on',
    load: () => import('../verbs/serve.ts'),
  },
  {
    name: 'up',
    args: '[dir]',
    summary: 'from a folder to live traffic: bake, check, promote, deploy to each environment',
    options: [
      ['--environment <list>', 'environments in their order (default stage/local,live/local)'],
      ['--version <version>', 'version of the image, instead of what kiln.yaml or git says'],
      STATE,
    ],
    example: 'kiln up examples/storefront',
    interrupt: 'begins nothing more; what the server has begun goes on',
    load: () => import('../verbs/up.ts'),
  },
  {
    name: 'init',
    args: '[dir]',
    summary: 'write a kiln.yaml by looking at the folder',
    options: [['--print', 'show it instead of writing it']],
    example: 'kiln init ./shop --print',
    load: () => import('../verbs/init.ts'),
  },
  {
    name: 'bake',
    args: '[dir]',
    summary: 'make an image from a folder; unchanged input is not built again',
    options: [
      ['--version <version>', 'version of the image, instead of what kiln.yaml or git says'],
      ['--tag <tag>', 'KEY=VALUE, for the image; may be given several times', 'repeated'],
      ['--verify', 'build again without any cache and name every file that differs'],
      DETACH,
    ],
    example: 'kiln bake examples/storefront --version 1.2.0',
    interrupt: 'cancels the bake; it leaves no image',
    load: () => import('../verbs/bake.ts'),
  },
  {
    name: 'images',
    args: '[query] [image] [other]',
    summary: 'find images, newest first; show one; find damaged ones; say how two differ',
    options: [
      ['--limit <n>', 'at most so many (default 20)'],
      ['--cursor <cursor>', 'go on after the previous page'],
      [
        '--format <text>',
        'a line for each, such as "{{component}}@{{version}} {{digest}}"; none found is exit code 3',
      ],
      ['--image <ref>', 'show this one with its tags and checks'],
    ],
    example:
      "kiln images storefront\n  kiln images 'precise:golden arch=amd64 region=us-east-1' --format '{{reference}}'\n  kiln images diff storefront@1.1.0 storefront@1.2.0\n  kiln images verify\n  kiln images 'component=web version>=1.4 env=stage outdated=true order=-version limit=1'",
    load: () => import('../verbs/images.ts'),
  },
  {
    name: 'check',
    args: '<what> [more]',
    summary: 'smoke tests: of an image, of what serves in an environment, or of any host (no server needed)',
    options: [
      ['--format <format>', 'of a host: text (default), json or junit'],
      ['--wait <seconds>', 'of a host: how long a test is tried again while the host is not up'],
      ['--concurrency <n>', 'of a host: so many tests at a time'],
      ['--retries <n>', 'of a host: so many more tries of a failed test'],
    ],
    example:
      'kiln check storefront@1.2.0\n  kiln check storefront stage/local\n  kiln check localhost:8080 checks/smoke.yaml',
    interrupt: 'of an image or environment: stops waiting; the check goes on in the server',
    load: () => import('../verbs/check.ts'),
  },
];
