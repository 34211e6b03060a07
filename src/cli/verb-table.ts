/** Every verb: how it is called and what `--help` says. Its module is loaded only when it is called. */
import type { Verb } from './context.ts';

export interface VerbEntry {
  readonly name: string;
  /** As commander reads them: `<needed>`, `[optional]`. */
  readonly args: string;
  readonly summary: string;
  /** What its first argument may be, where that is not a name. */
  readonly actions?: readonly (readonly [call: string, what: string])[];
  readonly options: readonly (readonly [flags: string, description: string, repeated?: 'repeated'])[];
  readonly example: string;
  /** What the first Ctrl-C does, where it does more than end the command. */
  readonly interrupt?: string;
  readonly load: () => Promise<{ readonly run: Verb }>;
}

const STATE = ['--state <dir>', 'state directory (KILN_STATE; default ~/.kiln)'] as const;
const STRATEGY = ['--strategy <name>', 'rolling or blue-green, instead of what kiln.yaml says'] as const;
const WHICH = [
  ['--image <ref>', 'which image: component@version, component:channel, or an id'],
  ['--release <n>', 'an existing release instead of an image'],
] as const;
const DETACH = ['--detach', 'do not wait for the end'] as const;
const CONFLICT = [
  '--on-conflict <what>',
  'when a deployment is under way: refuse (default), queue behind it, or replace it',
] as const;

export const VERBS: readonly VerbEntry[] = [
  {
    name: 'serve',
    args: '',
    summary: 'run the server in the foreground',
    options: [
      ['--state <dir>', 'state directory (KILN_STATE; default ~/.kiln)'],
      ['--listen <host:port>', 'where the API listens (KILN_LISTEN; default 127.0.0.1:7070)'],
      ['--router <driver>', 'built-in or haproxy (KILN_ROUTER)'],
      ['--router-listen <host:port>', 'where traffic comes in (KILN_ROUTER_LISTEN; default 127.0.0.1:7080)'],
      ['--take-over', 'take the state directory over from the server that works it now'],
    ],
    example: 'kiln serve --state /var/lib/kiln --listen 127.0.0.1:7070',
    interrupt: 'stops the server; instances and routers go on',
    load: () => import('./verbs/serve.ts'),
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
    load: () => import('./verbs/up.ts'),
  },
  {
    name: 'init',
    args: '[dir]',
    summary: 'write a kiln.yaml by looking at the folder',
    options: [['--print', 'show it instead of writing it']],
    example: 'kiln init ./shop --print',
    load: () => import('./verbs/init.ts'),
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
    load: () => import('./verbs/bake.ts'),
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
    load: () => import('./verbs/images.ts'),
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
    load: () => import('./verbs/check.ts'),
  },
  {
    name: 'pipeline',
    args: '[action] [what] [more]',
    summary:
      'run pipelines and look after their executions, have them started by what happens, hold them back, try them without a server',
    actions: [
      ['run [dir|repository]', 'start a pipeline and follow it to its end, or until it waits for a person'],
      ['list [pipeline]', 'executions, newest first'],
      ['show <execution>', 'what happened to one, and how it ended'],
      ['why <execution>', 'what it waits for'],
      ['logs <execution> [state]', 'what its tasks have written'],
      ['health [pipeline]', 'how pipelines fare; of one, with its flaky steps and the figures of DORA'],
      ['cancel <execution>', 'end it'],
      ['retry <execution>', 'go on from where it failed, or from the start'],
      ['approve|reject <execution>', 'answer what waits for a person'],
      ['watch [dir|repository]', 'have a pipeline started by what happens: pushes, schedules, channels…'],
      ['sources', 'what is watched, and when it is due'],
      ['events <source>', 'what happened to a source, and what came of it'],
      ['start <source>', 'start it now, at a branch, tag or commit'],
      ['hook <source> [repository]', 'a post-receive hook that tells of pushes'],
      ['unwatch <source>', 'watch it no more'],
      ['pause|resume <environment>', 'hold pipelines back before they deploy there, or let them go on'],
      ['paused', 'environments that are paused'],
      ['eject [dir]', 'write the default pipeline, to be changed'],
      ['check [dir|file]', 'everything that is wrong with a pipeline, without a server'],
      ['try', 'a dry run in virtual time, without a server'],
      ['graph', 'draw a pipeline'],
      ['export', 'the same definition for AWS Step Functions'],
    ],
    options: [
      ['--file <file>', 'of run and watch: a file of the folder, instead of pipeline.yaml'],
      ['--parameters <list>', 'of run, watch and start: NAME=VALUE,NAME=VALUE'],
      ['--ask', 'of run and start: ask for every parameter, not only for those that are missing or wrong'],
      ['--directory <dir>', 'of watch, and of run with a repository: folder of the component in it'],
      ['--branch <name>', 'of watch: instead of the one that the repository’s HEAD names'],
      ['--poll <interval>', 'of watch: look at the repository this often, such as 30s'],
      ['--at <ref>', 'of start, and of run with a repository: branch, tag or commit'],
      ['--from <where>', 'of retry: failure (default) or start; of logs: a line, negative from the end'],
      ['-f, --follow', 'of logs: go on as they are written'],
      ['--status <list>', 'of list: such as failed,timed_out'],
      ['--trigger <kind>', 'of list: started by this, such as webhook or api'],
      ['--commit <sha>', 'of list: of a commit that begins so'],
      ['--by <name>', 'of list: started by this token'],
      ['--text <text>', 'of list: with this in its id, parameters, commit, error or cause'],
      ['--since <when>', 'of list: created since, such as 7d or 2030-01-31'],
      ['--until <when>', 'of list: created before'],
      ['--limit <n>', 'of list and events: at most so many (default 50)'],
      ['--cursor <cursor>', 'of list and events: go on after the previous page'],
      ['--days <n>', 'of health: of the figures of deployments (default 30)'],
      ['--why <text>', 'of approve, reject and pause: the reason'],
      ['--approval <state>', 'of approve and reject: which state, when several wait'],
      ['--detach', 'of run and retry: do not wait for the end'],
      ['--definition <file>', 'of try, graph and export: the pipeline, YAML or JSON (default pipeline.yaml)'],
      ['--input <file>', 'of try: the input, JSON (default {})'],
      ['--mocks <file>', 'of try: task results by resource or state, JSON'],
      ['--context <file>', 'of try: the context object, JSON'],
      ['--format <format>', 'of graph: mermaid (default) or svg'],
      ['--aws', 'of export: for AWS Step Functions, with Kiln’s tasks as Activities'],
      ['--region <region>', 'of export (AWS_REGION)'],
      ['--account <id>', 'of export: the account of the Activities'],
      ['--prefix <text>', 'of export: of the Activities’ names (default kiln-)'],
    ],
    example:
      'kiln pipeline run ./shop --parameters level=stage,copies=2\n  kiln pipeline run https://example.com/team/shop.git --at v1.2.0 --ask\n  kiln pipeline start shop --at main\n  kiln pipeline watch https://example.com/team/shop.git --poll 1m\n  kiln pipeline logs exec-4f1c Build -f\n  kiln pipeline approve exec-4f1c --why "looks good"\n  kiln pipeline try --definition pipeline.yaml --input input.json --mocks mocks.json --json\n  kiln pipeline graph --definition pipeline.yaml --format svg',
    interrupt:
      'of run and retry: stops waiting; the execution goes on in the server. At a question: nothing is started',
    load: () => import('./verbs/pipeline.ts'),
  },
  {
    name: 'promote',
    args: '<image> <channel>',
    summary: 'move a channel to a tested image, or back to one it held',
    options: [
      ['--expected <ref>', 'only while the channel holds this image'],
      ['--why <text>', 'the reason, for the history'],
      ['--back', 'move the channel back to what it held before; <image> is then a component'],
      ['--history', 'show the history of the channel instead; <image> is then a component'],
      ['--approve', 'approve of the image for the channel instead of moving it'],
      ['--policy [text]', 'show, or set, what the channel demands; <image> is then a component'],
    ],
    example:
      'kiln promote storefront@1.2.0 proven --why "checked in stage/local"\n  kiln promote storefront golden --policy "checks=smoke,scan approvals=1 after=proven:24h"\n  kiln promote storefront@1.2.0 golden --approve\n  kiln promote storefront golden --back --why "it leaks"',
    load: () => import('./verbs/promote.ts'),
  },
  {
    name: 'channels',
    args: '[what] [dir]',
    summary:
      'what channels hold; what each demands and an image still lacks; or make the demands of a kiln.yaml those of the server',
    options: [
      ['--dry-run', 'of apply: only show what would change'],
      ['--loosen', 'of apply: also where the server demands more than the file'],
    ],
    example:
      'kiln channels storefront\n  kiln channels storefront@1.2.0\n  kiln channels apply examples/storefront --dry-run',
    load: () => import('./verbs/channels.ts'),
  },
  {
    name: 'sbom',
    args: '<image>',
    summary: 'what software an image holds, as CycloneDX',
    options: [],
    example: 'kiln sbom storefront@1.2.0 > storefront.cdx.json',
    load: () => import('./verbs/sbom.ts'),
  },
  {
    name: 'scan',
    args: '[image]',
    summary: 'what is known against an image, or against every image there is and where it runs',
    options: [
      ['--advisories <dir>', 'folder of advisories in the format of OSV, on the server’s machine'],
      ['--waive <finding>', 'let a finding pass for a while, with --why and --until'],
      ['--why <text>', 'of a waiver: the reason'],
      ['--until <date>', 'of a waiver: its last day, such as 2030-01-31'],
      ['--component <name>', 'of a waiver: only for this one'],
      ['--waivers', 'list the waivers'],
      ['--end-waiver <id>', 'end a waiver now'],
    ],
    example: 'kiln scan storefront@1.2.0 --advisories /srv/osv\n  kiln scan --advisories /srv/osv',
    interrupt: 'stops waiting; the scan goes on in the server',
    load: () => import('./verbs/scan.ts'),
  },
  {
    name: 'push',
    args: '<image> <to>',
    summary: 'push an image to an OCI registry; what is there already is not sent',
    options: [],
    example: 'kiln push storefront@1.2.0 registry.example.com/team/storefront',
    interrupt: 'cancels the push; what was sent is not sent again',
    load: () => import('./verbs/push.ts'),
  },
  {
    name: 'pull',
    args: '<from>',
    summary: 'take over an image that another Kiln has pushed, by tag or by digest',
    options: [],
    example: 'kiln pull registry.example.com/team/storefront:1.2.0',
    interrupt: 'cancels the pull; what has come does not come again',
    load: () => import('./verbs/pull.ts'),
  },
  {
    name: 'lineage',
    args: '<image>',
    summary: 'what an image was baked from, and what was baked from it',
    options: [],
    example: 'kiln lineage node-runtime:golden',
    load: () => import('./verbs/lineage.ts'),
  },
  {
    name: 'rebakes',
    args: '[action] [image]',
    summary: 'images that follow their base and are behind: what comes next for each, or why it failed',
    options: [],
    example: 'kiln rebakes\n  kiln rebakes retry storefront@1.2.0',
    load: () => import('./verbs/rebakes.ts'),
  },
  {
    name: 'tag',
    args: '<image> <tags...>',
    summary: 'give an image tags (KEY=VALUE) or take some away (KEY=); expires=never pins it',
    options: [],
    example: 'kiln tag storefront@1.2.0 expires=never env=stage\n  kiln tag storefront@1.2.0 expires=',
    load: () => import('./verbs/tag.ts'),
  },
  {
    name: 'revoke',
    args: '<image>',
    summary: 'mark an image and all that was baked from it as unfit, and name what runs on it',
    options: [
      ['--why <text>', 'the reason, for everybody who meets it'],
      ['--replace', 'start the deployment of the last good release wherever a revoked image serves'],
    ],
    example: 'kiln revoke storefront@1.2.0 --why "leaks its log" --replace',
    load: () => import('./verbs/revoke.ts'),
  },
  {
    name: 'janitor',
    args: '[action] [image]',
    summary: 'sweep images that nothing can need, or say why one is kept',
    options: [
      ['--dry-run', 'only say what a run would do'],
      ['--limit <n>', 'of announced: at most so many (default 20)'],
      ['--cursor <cursor>', 'of announced: go on after the previous page'],
    ],
    example:
      'kiln janitor run --dry-run\n  kiln janitor announced\n  kiln janitor enable\n  kiln janitor explain storefront@1.2.0',
    load: () => import('./verbs/janitor.ts'),
  },
  {
    name: 'plan',
    args: '<component> <environment>',
    summary: 'show exactly the steps that deploy would take',
    options: [...WHICH, STRATEGY],
    example: 'kiln plan storefront live/local --image storefront@1.2.0',
    load: () => import('./verbs/plan.ts'),
  },
  {
    name: 'deploy',
    args: '<component> <environment>',
    summary:
      'replace what serves; by default with what the environment’s channel holds, or the newest tested image',
    options: [...WHICH, STRATEGY, CONFLICT, DETACH],
    example: 'kiln deploy storefront live/local --image storefront@1.2.0',
    interrupt: 'stops waiting; the deployment goes on (kiln cancel ends it)',
    load: () => import('./verbs/deploy.ts'),
  },
  {
    name: 'rollback',
    args: '<component> <environment>',
    summary: 'go back to the last release that served: image, configuration and routes as one unit',
    options: [['--to <n>', 'to this release'], CONFLICT, DETACH],
    example: 'kiln rollback storefront live/local',
    interrupt: 'stops waiting; the rollback goes on',
    load: () => import('./verbs/rollback.ts'),
  },
  {
    name: 'cancel',
    args: '<deployment>',
    summary: 'ask a deployment to go back to what served before',
    options: [],
    example: 'kiln cancel d42',
    load: () => import('./verbs/cancel.ts'),
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
    load: () => import('./verbs/releases.ts'),
  },
  {
    name: 'status',
    args: '[component] [environment]',
    summary: 'what serves where, and how it is',
    options: [],
    example: 'kiln status storefront',
    load: () => import('./verbs/status.ts'),
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
    load: () => import('./verbs/logs.ts'),
  },
  {
    name: 'stop',
    args: '<component> <environment>',
    summary: 'stop every instance until the next deployment',
    options: [],
    example: 'kiln stop storefront stage/local',
    load: () => import('./verbs/stop.ts'),
  },
  {
    name: 'down',
    args: '',
    summary: 'stop instances, routers and the server; volumes and images stay',
    options: [['--keep-instances', 'stop only the server'], STATE],
    example: 'kiln down',
    load: () => import('./verbs/down.ts'),
  },
  {
    name: 'doctor',
    args: '',
    summary: 'what is installed, what is missing, and what each missing thing would give',
    options: [STATE],
    example: 'kiln doctor',
    load: () => import('./verbs/doctor.ts'),
  },
  {
    name: 'open',
    args: '',
    summary: 'an address that opens the live page in a browser, signed in',
    options: [],
    example: 'kiln open',
    load: () => import('./verbs/open.ts'),
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
    load: () => import('./verbs/webhook.ts'),
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
    load: () => import('./verbs/tokens.ts'),
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
    load: () => import('./verbs/worker.ts'),
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
    load: () => import('./verbs/audit.ts'),
  },
  {
    name: 'version',
    args: '',
    summary: 'versions of this command line and of the server, when one answers',
    options: [],
    example: 'kiln version',
    load: () => import('./verbs/version.ts'),
  },
];
