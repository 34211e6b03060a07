/** The only reader of environment variables and of the settings file (`settings.yaml` in the state directory). */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { KilnError } from './domain/errors.ts';
import type { SEVERITIES } from './domain/finding.ts';
import type { Keeping } from './domain/ports/execution-history.ts';
import { DEFAULT_RETENTION, type RetentionPolicy } from './domain/retention.ts';
import { findProgram } from './processes/find-program.ts';
import { DEFAULT_LISTEN, type Listen, parseListen, parsePeerUrl } from './settings-addresses.ts';
import { type FileSettings, readSettingsFile } from './settings-file.ts';

export interface ProviderSettings {
  /** Variables that name no secret, such as AWS_REGION. */
  readonly environment: Readonly<Record<string, string>>;
  /** Secrets, by the names that templates have for them. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Where Amazon's EC2 answers, when not where it always does. */
  readonly amazonEndpoint: string | undefined;
  /** Where DigitalOcean's API answers, when not where it always does. */
  readonly digitalOceanEndpoint: string | undefined;
}

/** Where S3 answers, when not where Amazon's does in the region. */
export interface S3Place {
  readonly region: string;
  readonly endpoint: string | undefined;
}

export interface Settings {
  readonly stateDirectory: string;
  readonly listen: Listen;
  /** Host names under which clients may call the API, beside the loopback ones. */
  readonly hosts: readonly string[];
  /** Needed to listen beyond loopback. */
  readonly tls?: { readonly certificateFile: string; readonly keyFile: string };
  readonly databaseUrl?: string;
  /** Where other servers of the same database reach this one, when not where it listens. */
  readonly peerUrl?: string;
  readonly router: {
    readonly driver: 'built-in' | 'haproxy';
    readonly listen: Listen;
    /** True: nobody asked for this port, so a free one near it is as good. */
    readonly portIsDefault: boolean;
  };
  /** Holds the key that secrets in the database are sealed with; undefined: one of the state directory's own. */
  readonly keyFile: string | undefined;
  /** PATH that instances and build commands get. */
  readonly path: string;
  /** What build commands need to reach package registries; never part of an input key. */
  readonly buildNetwork: Readonly<Record<string, string>>;
  /** What builds of containers may be lent; absolute paths. */
  readonly builds: { readonly secretsFolder: string | undefined; readonly sshAgent: string | undefined };
  /** Absolute path of the Docker engine's socket, whether there is one or not. */
  readonly dockerSocket: string;
  /** What Packer needs to reach the providers of machine images; never part of an input key. */
  readonly providers: ProviderSettings;
  /** For the items and results of Maps. */
  readonly s3: S3Place;
  /** Artifacts of commands; undefined: in a folder of this machine. */
  readonly artifacts: (S3Place & { readonly bucket: string; readonly prefix: string }) | undefined;
  /** Absolute path of bubblewrap, where there is one. */
  readonly bwrap: string | undefined;
  /** Logins as Docker keeps them, read anew for each push and pull. */
  readonly registryLogins: string;
  /** Registries, beside those of this machine, that are spoken to over plain HTTP. */
  readonly plainHttpRegistries: readonly string[];
  /** How many of a pipeline's ended executions are kept, and how long; their logs go with them. */
  readonly keepExecutions: Keeping;
  /** Events of triggers are kept so long after they were taken, mirrors of repositories after their last use. */
  readonly keepTriggers: { readonly eventsMs: number; readonly mirrorsMs: number };
  /** Bakes, checks and commands of pipelines at once, on this machine. */
  readonly pipelineTasks: number;
  /** Of tasks whose state names none, by verb, where it is not the verb's own. */
  readonly taskLimitSeconds: Readonly<Record<string, number>>;
  /** Executions that are open for longer are cancelled. */
  readonly longestExecutionMs: number;
  readonly scan: {
    /** Folder of advisories, where none is named. */
    readonly advisories: string | undefined;
    /** Findings as bad as this, or worse, do not pass. */
    readonly worst: (typeof SEVERITIES)[number];
    readonly scanners: readonly {
      readonly name: string;
      readonly argv: readonly string[];
      readonly reads: 'sbom' | 'rootfs' | 'inside';
      readonly answers: 'sarif' | 'cyclonedx' | 'lynis';
      readonly bring: readonly string[];
      readonly timeoutMs: number;
    }[];
  };
  /** Events that nothing needs any more are kept so long. */
  readonly keepEventsMs: number;
  /** Name of the secret that Slack signs with, and of the token whose rights each of its users has. */
  readonly slack?: { readonly secret: string; readonly users: Readonly<Record<string, string>> };
  /** By which rules the janitor announces and sweeps images. */
  readonly retention: RetentionPolicy;
  /** Of the user who runs this. */
  readonly userHome: string;
  /** Hidden from instances beside the state directory: what other Kilns of this user keep, and the engine's socket. */
  readonly hiddenPaths: readonly string[];
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** Take the state directory over from the server that works it now. */
  readonly takeOver: boolean;
}

const DEFAULT_ROUTER_LISTEN = '127.0.0.1:7080';
const DAY_MS = 24 * 3600_000;
const DEFAULT_EVENT_DAYS = 90;
/** Amazon's own. */
const DEFAULT_REGION = 'us-east-1';

/** Flags of `kiln serve`; each wins over its environment variable, which wins over the file. */
export interface Flags {
  readonly state?: string | undefined;
  readonly listen?: string | undefined;
  readonly router?: string | undefined;
  readonly routerListen?: string | undefined;
  readonly takeOver?: boolean | undefined;
}

export function loadSettings(flags: Flags, env: Readonly<Record<string, string | undefined>>): Settings {
  const stateDirectory = path.resolve(flags.state ?? env.KILN_STATE ?? path.join(homedir(), '.kiln'));
  const file = readSettingsFile(path.join(stateDirectory, 'settings.yaml'));
  const routerListen = flags.routerListen ?? env.KILN_ROUTER_LISTEN ?? file.router?.listen;
  const databaseUrl = env.DATABASE_URL ?? file.databaseUrl;
  const peerUrl = env.KILN_PEER_URL ?? file.peerUrl;
  const tls = tlsFiles(env) ?? file.tls;
  const providers = providerSettings(env);
  const s3 = s3PlaceOf(file.s3, {
    region: providers.environment.AWS_REGION ?? providers.environment.AWS_DEFAULT_REGION ?? DEFAULT_REGION,
    endpoint: env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL,
  });
  const artifacts = file.artifacts?.s3;
  const searchPath = env.PATH ?? '/usr/local/bin:/usr/bin:/bin';
  return {
    stateDirectory,
    listen: parseListen(flags.listen ?? env.KILN_LISTEN ?? file.listen ?? DEFAULT_LISTEN, 'listen'),
    hosts: env.KILN_HOSTS?.split(',').filter(Boolean) ?? file.hosts ?? [],
    ...(tls === undefined ? {} : { tls }),
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
    ...(peerUrl === undefined ? {} : { peerUrl: parsePeerUrl(peerUrl) }),
    router: {
      driver: routerDriver(flags.router ?? env.KILN_ROUTER ?? file.router?.driver ?? 'built-in'),
      listen: parseListen(routerListen ?? DEFAULT_ROUTER_LISTEN, 'router-listen'),
      portIsDefault: routerListen === undefined,
    },
    keyFile: absolute(env.KILN_KEY_FILE) ?? file.keyFile,
    path: searchPath,
    buildNetwork: buildNetwork(env),
    builds: {
      secretsFolder: absolute(env.KILN_BUILD_SECRETS) ?? file.builds?.secrets,
      sshAgent: absolute(env.KILN_BUILD_SSH_AGENT) ?? file.builds?.sshAgent,
    },
    dockerSocket: dockerSocket(env),
    providers,
    s3,
    artifacts: artifacts && { ...artifacts, ...s3PlaceOf(artifacts, s3) },
    bwrap: findProgram('bwrap', searchPath),
    registryLogins: path.resolve(
      env.KILN_REGISTRY_LOGINS ??
        file.registries?.logins ??
        path.join(env.DOCKER_CONFIG ?? path.join(homedir(), '.docker'), 'config.json'),
    ),
    ...(file.chat && { slack: file.chat.slack }),
    keepEventsMs: (file.events?.keepDays ?? DEFAULT_EVENT_DAYS) * DAY_MS,
    retention: retention(file.janitor),
    pipelineTasks: file.pipelines?.tasks ?? 8,
    taskLimitSeconds: file.pipelines?.limitSeconds ?? {},
    longestExecutionMs: (file.pipelines?.longestDays ?? 30) * DAY_MS,
    keepExecutions: {
      all: { executions: file.pipelines?.keep?.executions ?? 1_000, days: file.pipelines?.keep?.days ?? 180 },
      of: file.pipelines?.keepOf ?? {},
    },
    keepTriggers: {
      eventsMs: (file.pipelines?.keepTriggersDays ?? 180) * DAY_MS,
      mirrorsMs: (file.pipelines?.keepMirrorsDays ?? 30) * DAY_MS,
    },
    scan: {
      advisories: file.scan?.advisories,
      worst: file.scan?.worst ?? 'high',
      scanners: file.scan?.scanners ?? [],
    },
    plainHttpRegistries: file.registries?.plainHttp ?? [],
    userHome: homedir(),
    hiddenPaths: [path.join(homedir(), '.kiln'), dockerSocket(env)],
    logLevel: logLevel(env.KILN_LOG_LEVEL ?? file.logLevel ?? 'info'),
    takeOver: flags.takeOver ?? false,
  };
}

function retention(file: FileSettings['janitor']): RetentionPolicy {
  const { unusedMs, noticeWorkingDays, share } = DEFAULT_RETENTION;
  return {
    ...DEFAULT_RETENTION,
    unusedMs: file?.unusedDays === undefined ? unusedMs : Math.round(file.unusedDays * DAY_MS),
    noticeWorkingDays: file?.noticeWorkingDays ?? noticeWorkingDays,
    share: file?.share ?? share,
  };
}

function s3PlaceOf(given: FileSettings['s3'], otherwise: S3Place): S3Place {
  return { region: given?.region ?? otherwise.region, endpoint: given?.endpoint ?? otherwise.endpoint };
}

function absolute(file: string | undefined): string | undefined {
  return file === undefined ? undefined : path.resolve(file);
}

function tlsFiles(env: Readonly<Record<string, string | undefined>>): Settings['tls'] {
  const { KILN_TLS_CERT: certificateFile, KILN_TLS_KEY: keyFile } = env;
  return certificateFile === undefined || keyFile === undefined ? undefined : { certificateFile, keyFile };
}

const NETWORK_VARIABLES =
  /^(https?_proxy|no_proxy|all_proxy|npm_config_\w+|node_extra_ca_certs|ssl_cert_file|pip_\w+)$/i;

/** Proxies and certificates, and the user's own settings of package managers, which build commands would not find by HOME. */
function buildNetwork(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const network: Record<string, string> = {};
  const files = { NPM_CONFIG_USERCONFIG: '.npmrc', PIP_CONFIG_FILE: '.config/pip/pip.conf' };
  for (const [name, file] of Object.entries(files)) {
    const full = path.join(env.HOME ?? homedir(), file);
    if (existsSync(full)) network[name] = full;
  }
  for (const [name, value] of Object.entries(env)) {
    if (NETWORK_VARIABLES.test(name) && value !== undefined) network[name] = value;
  }
  return network;
}

const PROVIDER_SECRETS: Readonly<Record<string, string>> = {
  AWS_ACCESS_KEY_ID: 'aws_access_key',
  AWS_SECRET_ACCESS_KEY: 'aws_secret_key',
  AWS_SESSION_TOKEN: 'aws_token',
  DIGITALOCEAN_TOKEN: 'digitalocean_token',
  DIGITALOCEAN_API_TOKEN: 'digitalocean_token',
};
const PROVIDER_VARIABLES =
  /^(AWS_(PROFILE|REGION|DEFAULT_REGION|CONFIG_FILE|SHARED_CREDENTIALS_FILE|CA_BUNDLE)|DOCKER_HOST)$/;

/** The variables that the providers' own tools read; files of theirs are not found by HOME, which a build has its own of. */
function providerSettings(env: Readonly<Record<string, string | undefined>>): ProviderSettings {
  const environment: Record<string, string> = { DOCKER_HOST: `unix://${dockerSocket(env)}` };
  const secrets: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || value === '') continue;
    if (PROVIDER_VARIABLES.test(name)) environment[name] = value;
    const secret = PROVIDER_SECRETS[name];
    if (secret !== undefined) secrets[secret] = value;
  }
  for (const [name, file] of [
    ['AWS_SHARED_CREDENTIALS_FILE', '.aws/credentials'],
    ['AWS_CONFIG_FILE', '.aws/config'],
  ] as const) {
    const full = path.join(env.HOME ?? homedir(), file);
    if (environment[name] === undefined && existsSync(full)) environment[name] = full;
  }
  return {
    environment,
    secrets,
    amazonEndpoint: env.AWS_ENDPOINT_URL_EC2 ?? env.AWS_ENDPOINT_URL,
    digitalOceanEndpoint: env.DIGITALOCEAN_API_URL,
  };
}

/** DOCKER_HOST is read as Docker's own tools read it; engines elsewhere than on this machine are none of ours. */
function dockerSocket(env: Readonly<Record<string, string | undefined>>): string {
  const [, ofDocker] = /^unix:\/\/(\/.+)$/.exec(env.DOCKER_HOST ?? '') ?? [];
  return path.resolve(env.KILN_DOCKER_SOCKET ?? ofDocker ?? '/var/run/docker.sock');
}

function routerDriver(text: string): Settings['router']['driver'] {
  if (text === 'built-in' || text === 'haproxy') return text;
  throw new KilnError('input.invalid', `"${text}" is not a router.`, { next: 'Choose built-in or haproxy.' });
}

function logLevel(text: string): Settings['logLevel'] {
  if (text === 'debug' || text === 'info' || text === 'warn' || text === 'error') return text;
  throw new KilnError('input.invalid', `"${text}" is not a log level.`, {
    next: 'Choose debug, info, warn or error.',
  });
}
