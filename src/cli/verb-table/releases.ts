/** What serves where. */
import { DETACH, type VerbEntry } from './verb-entry.ts';

const STRATEGY = ['--strategy <name>', 'rolling or blue-green, instead of what kiln.yaml says'] as const;
const WHICH = [
  ['--image <ref>', 'which image: component@version, component:channel, or an id'],
  ['--release <n>', 'an existing release instead of an image'],
] as const;
const CONFLICT = [
  '--on-conflict <what>',
  'when a deployment is under way: refuse (default), queue behind it, or replace it',
] as const;

export const RELEASES: readonly VerbEntry[] = [
  {
    name: 'plan',
    args: '<component> <environment>',
    summary: 'show exactly the steps that deploy would take',
    options: [...WHICH, STRATEGY],
    example: 'kiln plan storefront live/local --image storefront@1.2.0',
    load: () => import('../verbs/plan.ts'),
  },
  {
    name: 'deploy',
    args: '<component> <environment>',
    summary:
      'replace what serves; by default with what the environment’s channel holds, or the newest tested image',
    options: [...WHICH, STRATEGY, CONFLICT, DETACH],
    example: 'kiln deploy storefront live/local --image storefront@1.2.0',
    interrupt: 'stops waiting; the deployment goes on (kiln cancel ends it)',
    load: () => import('../verbs/deploy.ts'),
  },
  {
    name: 'rollback',
    args: '<component> <environment>',
    summary: 'go back to the last release that served: image, configuration and routes as one unit',
    options: [['--to <n>', 'to this release'], CONFLICT, DETACH],
    example: 'kiln rollback storefront live/local',
    interrupt: 'stops waiting; the rollback goes on',
    load: () => import('../verbs/rollback.ts'),
  },
  {
    name: 'cancel',
    args: '<deployment>',
    summary: 'ask a deployment to go back to what served before',
    options: [],
    example: 'kiln cancel d42',
    load: () => import('../verbs/cancel.ts'),
  },
  {
    name: 'releases',
    args: '[component] [environment]',
    summary: 'list releases, newest first',
    options: [
      ['--limit <n>', 'at most so many (default 20)'],
      ['--cursor <cursor>', 'go on after the previous page'],
    ],
    example: 'kiln releases storefront live/local',
    load: () => import('../verbs/releases.ts'),
  },
  {
    name: 'status',
    args: '[component] [environment]',
    summary: 'what serves where, and how it is',
    options: [],
    example: 'kiln status storefront',
    load: () => import('../verbs/status.ts'),
  },
  {
    name: 'logs',
    args: '<component> <environment>',
    summary: 'lines that the instances wrote',
    options: [
      ['-f, --follow', 'go on as they write'],
      ['--tail <n>', 'so many lines from the end to begin with (default 100)'],
    ],
    example: 'kiln logs storefront live/local -f',
    load: () => import('../verbs/logs.ts'),
  },
  {
    name: 'stop',
    args: '<component> <environment>',
    summary: 'stop every instance until the next deployment',
    options: [],
    example: 'kiln stop storefront stage/local',
    load: () => import('../verbs/stop.ts'),
  },
];
