/**
 * Every operation of the API by name: where it is, who may call it, how it answers. Plain data, so that the
 * typed client needs no schema library; `contract.ts` holds the schemas under the same names.
 */
import type { Role } from '../domain/audit.ts';

export const API_ROOT = '/api/v1';

export interface RouteInfo {
  readonly method: 'get' | 'post' | 'delete';
  /** Below `/api/v1`. */
  readonly path: string;
  /** The least role. A deployer is moreover held to its environments, where the operation is about one. */
  readonly role: Role;
  readonly summary: string;
  /** `json`: one answer; `events`: server-sent events; `lines`: one JSON value a line; `text`: bytes as they are. */
  readonly answers: 'json' | 'events' | 'lines' | 'text';
  /** True: it begins work and takes `Prefer: wait=SECONDS`; 200 when it ended in time, else 202. */
  readonly begins?: boolean;
}

export const ROUTES = {
  'bakes.start': {
    method: 'post',
    path: '/bakes',
    role: 'deployer',
    summary: 'Bake an image from a folder',
    answers: 'json',
    begins: true,
  },
  'bakes.get': {
    method: 'get',
    path: '/bakes/{id}',
    role: 'viewer',
    summary: 'One bake, now or once it has ended',
    answers: 'json',
  },
  'bakes.log': {
    method: 'get',
    path: '/bakes/{id}/log',
    role: 'viewer',
    summary: 'Follow a bake: `progress` events, then one `end`',
    answers: 'events',
  },
  'bakes.cancel': {
    method: 'post',
    path: '/bakes/{id}/cancel',
    role: 'deployer',
    summary: 'Cancel a bake; it leaves no image',
    answers: 'json',
  },
  'images.list': {
    method: 'get',
    path: '/images',
    role: 'viewer',
    summary: 'Images, newest first',
    answers: 'json',
  },
  'images.get': {
    method: 'get',
    path: '/images/{reference}',
    role: 'viewer',
    summary: 'One image',
    answers: 'json',
  },
  'images.sbom': {
    method: 'get',
    path: '/images/{reference}/sbom',
    role: 'viewer',
    summary: 'What software an image holds, as CycloneDX',
    answers: 'json',
  },
  'images.findings': {
    method: 'get',
    path: '/images/{reference}/findings',
    role: 'viewer',
    summary: 'What is known against an image, judged by the policy as of now',
    answers: 'json',
  },
  'scans.start': {
    method: 'post',
    path: '/scans',
    role: 'deployer',
    summary: 'Scan an image, or match every image with advisories',
    answers: 'json',
    begins: true,
  },
  'scans.get': {
    method: 'get',
    path: '/scans/{id}',
    role: 'viewer',
    summary: 'One scan, now or once it has ended',
    answers: 'json',
  },
  'waivers.list': {
    method: 'get',
    path: '/waivers',
    role: 'viewer',
    summary: 'Findings that somebody has let pass, newest first',
    answers: 'json',
  },
  'waivers.create': {
    method: 'post',
    path: '/waivers',
    role: 'admin',
    summary: 'Let a finding pass for a while',
    answers: 'json',
  },
  'waivers.delete': {
    method: 'delete',
    path: '/waivers/{id}',
    role: 'admin',
    summary: 'End a waiver now',
    answers: 'json',
  },
  'transfers.push': {
    method: 'post',
    path: '/images/{reference}/push',
    role: 'deployer',
    summary: 'Push an image to an OCI registry',
    answers: 'json',
    begins: true,
  },
  'transfers.pull': {
    method: 'post',
    path: '/pulls',
    role: 'deployer',
    summary: 'Take over an image that a Kiln has pushed',
    answers: 'json',
    begins: true,
  },
  'transfers.get': {
    method: 'get',
    path: '/transfers/{id}',
    role: 'viewer',
    summary: 'One push or pull, now or once it has ended',
    answers: 'json',
  },
  'transfers.cancel': {
    method: 'post',
    path: '/transfers/{id}/cancel',
    role: 'deployer',
    summary: 'Cancel a push or pull; what was moved is not moved again',
    answers: 'json',
  },
  'terraform.state': {
    method: 'get',
    path: '/terraform/state',
    role: 'viewer',
    summary:
      'An image as the outputs of a Terraform state; takes a token as password of basic authentication',
    answers: 'json',
  },
  'images.lineage': {
    method: 'get',
    path: '/images/{reference}/lineage',
    role: 'viewer',
    summary: 'What an image was baked from, and what was baked from it',
    answers: 'json',
  },
  'images.diff': {
    method: 'get',
    path: '/images/{reference}/diff',
    role: 'viewer',
    summary: 'On which files, packages and tags two images differ',
    answers: 'json',
  },
  'images.verify': {
    method: 'post',
    path: '/verifications',
    role: 'deployer',
    summary: 'Find damaged and missing blobs of images',
    answers: 'json',
  },
  'images.revoke': {
    method: 'post',
    path: '/images/{reference}/revoke',
    role: 'deployer',
    summary: 'Revoke an image and all that was baked from it',
    answers: 'json',
  },
  'rebakes.list': {
    method: 'get',
    path: '/rebakes',
    role: 'viewer',
    summary: 'Images that follow their base and are behind, and what comes next for each',
    answers: 'json',
  },
  'rebakes.retry': {
    method: 'post',
    path: '/images/{reference}/rebake',
    role: 'deployer',
    summary: 'Bake an image again whose baking again failed',
    answers: 'json',
  },
  'janitor.get': {
    method: 'get',
    path: '/janitor',
    role: 'viewer',
    summary: 'Whether the janitor sweeps, and by which rules',
    answers: 'json',
  },
  'janitor.enable': {
    method: 'post',
    path: '/janitor',
    role: 'admin',
    summary: 'Let the janitor sweep, or only say what it would do',
    answers: 'json',
  },
  'janitor.run': {
    method: 'post',
    path: '/janitor/runs',
    role: 'admin',
    summary: 'Announce what nothing needs, sweep what was announced long enough ago',
    answers: 'json',
  },
  'janitor.explain': {
    method: 'get',
    path: '/janitor/images/{reference}',
    role: 'viewer',
    summary: 'Why an image is kept, or when it goes',
    answers: 'json',
  },
  'janitor.restore': {
    method: 'post',
    path: '/janitor/images/{reference}/restore',
    role: 'deployer',
    summary: 'Keep an image that was announced to go',
    answers: 'json',
  },
  'channels.list': {
    method: 'get',
    path: '/channels',
    role: 'viewer',
    summary: 'What every channel holds',
    answers: 'json',
  },
  'channels.history': {
    method: 'get',
    path: '/channels/{component}/{channel}',
    role: 'viewer',
    summary: 'All moves of a channel, newest first',
    answers: 'json',
  },
  'channels.promote': {
    method: 'post',
    path: '/channels/{component}/{channel}',
    role: 'deployer',
    summary: 'Move a channel to a tested image, or back to one it held',
    answers: 'json',
  },
  'channels.policy': {
    method: 'get',
    path: '/channels/{component}/{channel}/policy',
    role: 'viewer',
    summary: 'What a channel demands of an image',
    answers: 'json',
  },
  'channels.setPolicy': {
    method: 'post',
    path: '/channels/{component}/{channel}/policy',
    role: 'admin',
    summary: 'Say what a channel demands of an image',
    answers: 'json',
  },
  'channels.approve': {
    method: 'post',
    path: '/channels/{component}/{channel}/approvals',
    role: 'deployer',
    summary: 'Approve of an image for a channel',
    answers: 'json',
  },
  'checks.start': {
    method: 'post',
    path: '/checks',
    role: 'deployer',
    summary: 'Check an image, or what serves in an environment',
    answers: 'json',
    begins: true,
  },
  'checks.get': {
    method: 'get',
    path: '/checks/{id}',
    role: 'viewer',
    summary: 'One run of checks, now or once it has ended',
    answers: 'json',
  },
  'releases.list': {
    method: 'get',
    path: '/releases',
    role: 'viewer',
    summary: 'Releases, newest first',
    answers: 'json',
  },
  'releases.get': {
    method: 'get',
    path: '/releases/{component}/{level}/{region}/{number}',
    role: 'viewer',
    summary: 'One release',
    answers: 'json',
  },
  'plan.show': {
    method: 'get',
    path: '/plan',
    role: 'viewer',
    summary: 'Exactly the steps that a deployment would take',
    answers: 'json',
  },
  'deployments.start': {
    method: 'post',
    path: '/deployments',
    role: 'deployer',
    summary: 'Replace what serves by another release',
    answers: 'json',
    begins: true,
  },
  'deployments.rollback': {
    method: 'post',
    path: '/rollbacks',
    role: 'deployer',
    summary: 'Go back to a release that served: image, configuration and routes as one unit',
    answers: 'json',
    begins: true,
  },
  'deployments.list': {
    method: 'get',
    path: '/deployments',
    role: 'viewer',
    summary: 'Deployments, newest first',
    answers: 'json',
  },
  'deployments.get': {
    method: 'get',
    path: '/deployments/{id}',
    role: 'viewer',
    summary: 'One deployment, now or once it has ended',
    answers: 'json',
  },
  'deployments.cancel': {
    method: 'post',
    path: '/deployments/{id}/cancel',
    role: 'deployer',
    summary: 'Ask a deployment to go back to what served before',
    answers: 'json',
  },
  'services.list': {
    method: 'get',
    path: '/services',
    role: 'viewer',
    summary: 'What serves where, and how it is',
    answers: 'json',
  },
  'services.get': {
    method: 'get',
    path: '/services/{component}/{level}/{region}',
    role: 'viewer',
    summary: 'One component in one environment',
    answers: 'json',
  },
  'services.stop': {
    method: 'post',
    path: '/services/{component}/{level}/{region}/stop',
    role: 'deployer',
    summary: 'Stop every instance until the next deployment',
    answers: 'json',
  },
  'services.logs': {
    method: 'get',
    path: '/services/{component}/{level}/{region}/logs',
    role: 'viewer',
    summary: 'Lines that its instances wrote',
    answers: 'lines',
  },
  'pipelines.list': {
    method: 'get',
    path: '/pipelines',
    role: 'viewer',
    summary: 'Pipelines that have run: how each stands, its recent executions, how long it takes',
    answers: 'json',
  },
  'pipelines.get': {
    method: 'get',
    path: '/pipelines/{pipeline}',
    role: 'viewer',
    summary: 'One pipeline: with its flaky steps and the four figures of DORA',
    answers: 'json',
  },
  'executions.start': {
    method: 'post',
    path: '/executions',
    role: 'deployer',
    summary: 'Start a pipeline',
    answers: 'json',
    begins: true,
  },
  'executions.list': {
    method: 'get',
    path: '/executions',
    role: 'viewer',
    summary: 'Executions, newest first',
    answers: 'json',
  },
  'executions.get': {
    method: 'get',
    path: '/executions/{id}',
    role: 'viewer',
    summary: 'One execution, now or once it has ended: where it is and what it waits for',
    answers: 'json',
  },
  'executions.history': {
    method: 'get',
    path: '/executions/{id}/history',
    role: 'viewer',
    summary: 'Everything that an execution went through',
    answers: 'json',
  },
  'executions.logs': {
    method: 'get',
    path: '/executions/{id}/logs',
    role: 'viewer',
    summary: 'Logs of its tasks: their lines, sizes, commands',
    answers: 'json',
  },
  'executions.log': {
    method: 'get',
    path: '/executions/{id}/logs/{task}',
    role: 'viewer',
    summary: 'Follow a log: `text` events, then one `end`; resumes after Last-Event-ID',
    answers: 'events',
  },
  'executions.lines': {
    method: 'get',
    path: '/executions/{id}/logs/{task}/lines',
    role: 'viewer',
    summary: 'Lines of a log, from any one on',
    answers: 'json',
  },
  'executions.text': {
    method: 'get',
    path: '/executions/{id}/logs/{task}/text',
    role: 'viewer',
    summary: 'A whole log as text',
    answers: 'text',
  },
  'executions.cancel': {
    method: 'post',
    path: '/executions/{id}/cancel',
    role: 'deployer',
    summary: 'Cancel an execution',
    answers: 'json',
  },
  'executions.retry': {
    method: 'post',
    path: '/executions/{id}/retry',
    role: 'deployer',
    summary: 'Go on from the state that failed, or run again from the start',
    answers: 'json',
    begins: true,
  },
  'executions.decide': {
    method: 'post',
    path: '/executions/{id}/decision',
    role: 'deployer',
    summary: 'Approve or reject what an execution waits for',
    answers: 'json',
  },
  'workers.take': {
    method: 'post',
    path: '/workers/take',
    role: 'deployer',
    summary: 'A job that fits the labels, once there is one',
    answers: 'json',
  },
  'workers.begin': {
    method: 'post',
    path: '/workers/jobs/{id}/begin',
    role: 'deployer',
    summary: 'The worker begins the job: nobody else gets it from here on',
    answers: 'json',
  },
  'workers.beat': {
    method: 'post',
    path: '/workers/jobs/{id}/beat',
    role: 'deployer',
    summary: 'The worker is at work on the job',
    answers: 'json',
  },
  'workers.log': {
    method: 'post',
    path: '/workers/jobs/{id}/log',
    role: 'deployer',
    summary: 'Output of the job',
    answers: 'json',
  },
  'workers.end': {
    method: 'post',
    path: '/workers/jobs/{id}/end',
    role: 'deployer',
    summary: 'How the job ended',
    answers: 'json',
  },
  'workers.source': {
    method: 'get',
    path: '/workers/jobs/{id}/source',
    role: 'deployer',
    summary: 'The source of the job, where that is a folder of the server',
    answers: 'text',
  },
  'sources.watch': {
    method: 'post',
    path: '/sources',
    role: 'deployer',
    summary: 'Watch a repository or a folder, and start its pipeline by itself',
    answers: 'json',
  },
  'sources.list': {
    method: 'get',
    path: '/sources',
    role: 'viewer',
    summary: 'What is watched, what starts it, and when it is due next',
    answers: 'json',
  },
  'sources.remove': {
    method: 'delete',
    path: '/sources/{id}',
    role: 'deployer',
    summary: 'Watch a source no more',
    answers: 'json',
  },
  'sources.events': {
    method: 'get',
    path: '/sources/{id}/events',
    role: 'viewer',
    summary: 'What happened to a source and what came of it, newest first',
    answers: 'json',
  },
  'sources.start': {
    method: 'post',
    path: '/sources/{id}/start',
    role: 'deployer',
    summary: 'Start a source’s pipeline at a branch, tag or commit',
    answers: 'json',
  },
  'sources.pushed': {
    method: 'post',
    path: '/sources/{id}/pushes',
    role: 'deployer',
    summary: 'What a post-receive hook of its repository was told',
    answers: 'json',
  },
  'tokens.list': {
    method: 'get',
    path: '/tokens',
    role: 'admin',
    summary: 'Tokens, without their secrets',
    answers: 'json',
  },
  'tokens.create': {
    method: 'post',
    path: '/tokens',
    role: 'admin',
    summary: 'Make a token; its secret is answered once',
    answers: 'json',
  },
  'tokens.delete': {
    method: 'delete',
    path: '/tokens/{id}',
    role: 'admin',
    summary: 'Delete a token; it is refused from then on',
    answers: 'json',
  },
  'page.code': {
    method: 'post',
    path: '/page/codes',
    role: 'viewer',
    summary: 'A code that opens the page once, with the rights of whoever asks',
    answers: 'json',
  },
  'page.session': {
    method: 'post',
    path: '/page/sessions',
    role: 'viewer',
    summary: 'Exchange a page code, sent in place of a token, for a token of the page’s own',
    answers: 'json',
  },
  'webhooks.list': {
    method: 'get',
    path: '/webhooks',
    role: 'viewer',
    summary: 'Webhooks, without their secrets',
    answers: 'json',
  },
  'webhooks.add': {
    method: 'post',
    path: '/webhooks',
    role: 'admin',
    summary: 'Take a repository’s webhooks; the secret is answered once',
    answers: 'json',
  },
  'webhooks.remove': {
    method: 'delete',
    path: '/webhooks/{name}',
    role: 'admin',
    summary: 'Take a repository’s webhooks no more',
    answers: 'json',
  },
  'audit.list': {
    method: 'get',
    path: '/audit',
    role: 'viewer',
    summary: 'Who did what and when, newest first',
    answers: 'json',
  },
  'taskTokens.succeed': {
    method: 'post',
    path: '/task-tokens/success',
    role: 'deployer',
    summary: 'A task that waits for its token has ended well',
    answers: 'json',
  },
  'taskTokens.fail': {
    method: 'post',
    path: '/task-tokens/failure',
    role: 'deployer',
    summary: 'A task that waits for its token has failed',
    answers: 'json',
  },
  'taskTokens.beat': {
    method: 'post',
    path: '/task-tokens/heartbeat',
    role: 'deployer',
    summary: 'A task that waits for its token is still at work',
    answers: 'json',
  },
  'audit.verify': {
    method: 'get',
    path: '/audit/verify',
    role: 'viewer',
    summary: 'Whether the chain of the audit log is whole',
    answers: 'json',
  },
  'events.follow': {
    method: 'get',
    path: '/events',
    role: 'viewer',
    summary: 'Committed changes as they happen; resumes after Last-Event-ID and misses nothing',
    answers: 'events',
  },
  'server.get': {
    method: 'get',
    path: '/server',
    role: 'viewer',
    summary: 'This server: version, store, routers, targets',
    answers: 'json',
  },
  'server.down': {
    method: 'post',
    path: '/server/down',
    role: 'admin',
    summary: 'Stop the server, and with it instances and routers unless told otherwise',
    answers: 'json',
  },
} as const satisfies Record<string, RouteInfo>;

export type OperationName = keyof typeof ROUTES;

/** Names of the operations that answer in this way. */
export type OperationAnswering<Kind extends RouteInfo['answers']> = {
  [Name in OperationName]: (typeof ROUTES)[Name]['answers'] extends Kind ? Name : never;
}[OperationName];

export type BeginningOperation = {
  [Name in OperationName]: (typeof ROUTES)[Name] extends { readonly begins: true } ? Name : never;
}[OperationName];

export function routeOf(name: OperationName): RouteInfo {
  return ROUTES[name];
}

/** The path of a call, with each parameter encoded into its place. */
export function pathOf(name: OperationName, params: Readonly<Record<string, unknown>>): string {
  return (
    API_ROOT +
    ROUTES[name].path.replace(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(String(params[key] ?? '')))
  );
}
