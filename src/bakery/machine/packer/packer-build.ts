/** One machine image by Packer: writes what it needs into a folder, runs it, and keeps what it made. */
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { MachineSpec } from '../../../domain/component.ts';
import { KilnError } from '../../../domain/errors.ts';
import type { Artifact } from '../../../domain/image.ts';
import type { BuildNaming, BuildProgress, BuildRequest } from '../../../domain/ports/builder.ts';
import type { FileBlobStore } from '../../blobs.ts';
import { providerSource } from '../described-machine.ts';
import { machineImageName } from '../image-name.ts';
import { storeMachineFile } from '../stored-files.ts';
import { runPacker } from './packer-run.ts';
import { commandScripts } from './provisioners.ts';
import { madeBy } from './reported-artifacts.ts';
import type { PackerEvent } from './stream.ts';
import { packerTemplate } from './template.ts';

const run = promisify(execFile);
const VERSION_TIMEOUT_MS = 30_000;
/** What starting, stopping and copying at a provider may take beside the steps. */
const PROVIDER_MS = 4 * 3600_000;

/** What the server gives Packer of its own environment: where providers are and who asks them. Never part of a key. */
export interface PackerHost {
  readonly searchPath: string;
  readonly network: Readonly<Record<string, string>>;
  /** Variables that name no secret, such as DOCKER_HOST or AWS_REGION. */
  readonly environment: Readonly<Record<string, string>>;
  /** Secrets by the names that templates have for them. They reach Packer in a file that only this user can read. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Where Amazon's EC2 answers, when not where it always does. */
  readonly amazonEndpoint: string | undefined;
}

export interface PackerBuildRequest {
  readonly host: PackerHost;
  readonly spec: MachineSpec;
  readonly request: BuildRequest;
  readonly naming: BuildNaming;
  /** Its own, there and empty. */
  readonly folder: string;
  /** Copy of the component's files, in which Packer works. */
  readonly source: string;
  /** For Packer's sockets: a short path, there and empty. */
  readonly sockets: string;
  readonly mark: string;
  readonly logFile: string;
  readonly arch: string;
  readonly blobs: FileBlobStore;
  readonly onProgress: (progress: BuildProgress) => void;
  readonly signal: AbortSignal;
}

/** Such as `Packer v1.6.6`. Fails with `tool.missing`. */
export async function packerVersion(searchPath: string): Promise<string> {
  try {
    const environment = { PATH: searchPath, CHECKPOINT_DISABLE: '1', HOME: '/nonexistent' };
    const { stdout } = await run('packer', ['version'], { env: environment, timeout: VERSION_TIMEOUT_MS });
    return stdout.split('\n', 1)[0]?.trim() ?? '';
  } catch (error) {
    throw new KilnError('tool.missing', 'Packer is not installed, or does not start.', {
      cause: error,
      next: 'Install the Debian package packer on the machine of the server.',
      details: { tool: 'packer' },
    });
  }
}

export async function buildWithPacker(build: PackerBuildRequest): Promise<readonly Artifact[]> {
  const { arch, blobs, folder, logFile, mark, onProgress, signal, source, spec } = build;
  for (const name of ['home', 'scripts', 'cache', 'made'])
    await mkdir(path.join(folder, name), { mode: 0o700 });
  const argv = ['-machine-readable', ...(await secretsFile(build)), await templateFile(build)];
  const stepsMs =
    spec.kind === 'described' ? spec.provisioners.reduce((sum, step) => sum + step.timeoutMs, 0) : 0;
  const reported = await runPacker(
    { argv, cwd: source, environment: environmentOf(build), mark, logFile, timeoutMs: stepsMs + PROVIDER_MS },
    (event) => report(event, onProgress),
    signal,
  );
  const artifacts: Artifact[] = [];
  const diskBytes = spec.kind === 'described' ? (spec.diskBytes ?? 0) : 0;
  for (const made of reported.flatMap((one) => madeBy(one, { arch, diskBytes }))) {
    if (made.kind === 'provider') artifacts.push(made.artifact);
    else {
      const file = path.resolve(source, made.file);
      const form = made.isRootfs ? 'rootfs' : 'file';
      artifacts.push(await storeMachineFile(blobs, { file, form, arch: made.arch }, signal));
    }
  }
  if (artifacts.length > 0) return artifacts;
  throw new KilnError('build.failed', 'Packer ended well, but made nothing that could be kept.', {
    next: 'Give its template a builder that makes an artifact.',
    details: { log: logFile },
  });
}

async function secretsFile({ folder, host }: PackerBuildRequest): Promise<string[]> {
  if (Object.keys(host.secrets).length === 0) return [];
  const file = path.join(folder, 'secrets.json');
  await writeFile(file, JSON.stringify(host.secrets), { mode: 0o600, flag: 'wx' });
  return [`-var-file=${file}`];
}

async function templateFile(build: PackerBuildRequest): Promise<string> {
  const { folder, host, naming, request, spec } = build;
  if (spec.kind === 'template') return spec.packer;
  for (const [name, text] of Object.entries(commandScripts(spec.provisioners))) {
    await writeFile(path.join(folder, 'scripts', name), text, { mode: 0o600 });
  }
  const file = path.join(folder, 'template.json');
  const template = packerTemplate({
    spec,
    component: request.definition.component,
    naming,
    sourceOf: (arch, region) => providerSource(request, spec, arch, region),
    fromCatalogue: request.base !== undefined,
    scripts: path.join(folder, 'scripts'),
    outputs: path.join(folder, 'made'),
    variables: new Set(Object.keys(host.secrets)),
    ...(host.amazonEndpoint === undefined ? {} : { endpoint: host.amazonEndpoint }),
  });
  await writeFile(file, JSON.stringify(template, null, 2), { mode: 0o600 });
  return file;
}

/** Clean, but for what the machine needs to reach its providers. Own templates read what they are for from KILN_*. */
function environmentOf({
  arch,
  folder,
  host,
  naming,
  request,
  sockets,
}: PackerBuildRequest): Record<string, string> {
  const { component } = request.definition;
  const said = {
    component,
    version: naming.version,
    git_sha: naming.tags['git.sha'] ?? '',
    image_name: machineImageName(component, arch, naming),
    outputs: path.join(folder, 'made'),
    source: request.base?.artifacts.find((one) => one.arch === arch)?.reference ?? '',
  };
  const named = Object.entries(said).flatMap(([name, value]) => [
    [`KILN_${name.toUpperCase()}`, value],
    // HCL templates that declare the variable get it; the others do not mind.
    [`PKR_VAR_kiln_${name}`, value],
  ]);
  return {
    ...host.network,
    ...host.environment,
    ...Object.fromEntries(named),
    PATH: host.searchPath,
    LANG: 'C.UTF-8',
    HOME: path.join(folder, 'home'),
    TMPDIR: sockets,
    PACKER_TMP_DIR: sockets,
    PACKER_CACHE_DIR: path.join(folder, 'cache'),
    PACKER_CONFIG_DIR: path.join(folder, 'home'),
    PACKER_NO_COLOR: '1',
    CHECKPOINT_DISABLE: '1',
  };
}

function report(event: PackerEvent, onProgress: (progress: BuildProgress) => void): void {
  if (event.kind === 'artifact') {
    onProgress({
      kind: 'stage',
      name: 'made',
      detail: `${event.build}: ${event.description.split('\n', 1)[0] ?? ''}`,
    });
  } else if (event.kind === 'error') {
    onProgress({ kind: 'stage', name: 'failed', detail: `${event.build}: ${event.text}` });
  } else if (event.level === 'heading' && event.build !== undefined) {
    onProgress({ kind: 'stage', name: event.build, detail: event.text });
  } else {
    for (const line of event.text.split('\n')) {
      onProgress({ kind: 'output', line: event.build === undefined ? line : `${event.build}: ${line}` });
    }
  }
}
