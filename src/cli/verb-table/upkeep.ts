/** The server, who may use it, and what works for it. */
import { STATE, type VerbEntry } from './verb-entry.ts';

export const UPKEEP: readonly VerbEntry[] = [
  {
    name: 'down',
    args: '',
    summary: 'stop instances, routers and the server; volumes and images stay',
    options: [['--keep-instances', 'stop only the server'], STATE],
    example: 'kiln down',
    load: () => import('../verbs/down.ts'),
  },
  {
    name: 'doctor',
    args: '',
    summary: 'what is installed, what is missing, and what each missing thing would give',
    options: [STATE],
    example: 'kiln doctor',
    load: () => import('../verbs/doctor.ts'),
  },
  {
    name: 'open',
    args: '',
    summary: 'an address that opens the live page in a browser, signed in',
    options: [],
    example: 'kiln open',
    load: () => import('../verbs/open.ts'),
  },
  {
    name: 'webhook',
    args: '[action] [name]',
    summary: 'list, add or remove webhooks of repositories',
    options: [
      ['--provider <name>', 'github, gitlab, gitea (Forgejo too), bitbucket or bitbucket-server'],
      ['--repository <url>', 'address of the repository that it speaks for'],
      ['--url <url>', 'where the provider reaches this server, such as https://kiln.example.com'],
      ['--status-secret <name>', 'secret of the server with a token: commits are told how it went'],
      ['--status-api <url>', 'the provider’s API, where the repository’s host does not say'],
    ],
    example:
      'kiln webhook add shop --provider github --repository https://github.com/octocat/shop.git --url https://kiln.example.com',
    load: () => import('../verbs/webhook.ts'),
  },
  {
    name: 'tokens',
    args: '[action] [name]',
    summary: 'list, create or delete tokens',
    options: [
      ['--role <role>', 'of a new token: viewer (default), worker, deployer or admin'],
      ['--environment <list>', 'of a deployer: where, such as stage/*,live/uk'],
      ['--expires <duration>', 'such as 12h or 90d'],
    ],
    example: 'kiln tokens create ci --role deployer --environment "stage/*" --expires 90d',
    load: () => import('../verbs/tokens.ts'),
  },
  {
    name: 'worker',
    args: '',
    summary:
      'run commands of pipelines on this machine, for a server elsewhere (KILN_URL, and KILN_TOKEN of the role worker)',
    options: [
      ['--labels <list>', 'what it offers: a command runs here when these hold all of its runsOn'],
      ['--name <name>', 'for people; one of a name in a state directory (default its host name)'],
      ['--slots <n>', 'commands at once (default 2)'],
      [
        '--activities <list>',
        'serve these tasks as Activities of AWS Step Functions instead, such as cmd,deploy',
      ],
      ['--region <region>', 'of the Activities (AWS_REGION)'],
      ['--account <id>', 'of the Activities'],
      ['--prefix <text>', 'of the Activities’ names (default kiln-)'],
      ['--heartbeat <seconds>', 'of the Activities (default 15)'],
      STATE,
    ],
    example: 'kiln worker --labels linux,gpu --slots 4',
    interrupt: 'takes no more and waits for the end of what runs; again: ends it at once',
    load: () => import('../verbs/worker.ts'),
  },
  {
    name: 'audit',
    args: '',
    summary: 'who did what and when, newest first',
    options: [
      ['--verify', 'check that nothing in the log was rewritten'],
      ['--limit <n>', 'at most so many (default 20)'],
      ['--cursor <cursor>', 'go on after the previous page'],
    ],
    example: 'kiln audit --limit 50',
    load: () => import('../verbs/audit.ts'),
  },
  {
    name: 'version',
    args: '',
    summary: 'versions of this command line and of the server, when one answers',
    options: [],
    example: 'kiln version',
    load: () => import('../verbs/version.ts'),
  },
];
