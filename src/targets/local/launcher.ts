import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, open, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import type { GroupSpec } from '../../domain/server-group.ts';
import { confine } from '../confined-path.ts';
import type { LaunchRequest } from '../instance-engine.ts';
import { ownVariables } from '../own-variables.ts';
import { shellCommand } from '../shell-command.ts';
import { makeMountPoint } from '../unpacked-images.ts';
import { type InstanceDescription, writeDescription } from './description.ts';
import type { SandboxHost } from './isolation.ts';
import type { InstanceLayout, LocalLayout } from './layout.ts';
import { plainCommand } from './runner.ts';
import { APP_DIRECTORY, HOME_DIRECTORY, type Mount, sandboxCommand, TEMPORARY_DIRECTORY } from './sandbox.ts';
import { makeView } from './views.ts';

/** Refuses what could never run here, and makes what the group's instances share. */
export async function makeGroupReady(
  layout: LocalLayout,
  spec: GroupSpec,
  sandbox: SandboxHost | undefined,
): Promise<void> {
  for (const { path: relative } of spec.files) confine(relative);
  for (const volume of spec.process.volumes) checkVolume(volume.path, sandbox);
  if (sandbox === undefined) return makeView(layout, spec);
  const image = layout.image(spec.artifact);
  for (const volume of spec.process.volumes) {
    if (!path.isAbsolute(volume.path)) makeMountPoint(image, volume.path, 'directory');
  }
  for (const file of spec.files) makeMountPoint(image, file.path, 'file');
}

/** The instance's folder first, and then its process: whatever runs can be found. */
export async function launchInstance(
  layout: LocalLayout,
  request: LaunchRequest,
  description: InstanceDescription,
  sandbox: SandboxHost | undefined,
  searchPath: string,
): Promise<ChildProcess> {
  const at = layout.instance(request.id);
  try {
    await mkdir(at.home, { recursive: true, mode: 0o700 });
    await mkdir(at.temporary, { mode: 0o700 });
    await writeDescription(at, description);
    const command = shellCommand(request.command);
    const runner =
      sandbox === undefined
        ? plainCommand(command)
        : sandboxCommand({
            ...sandbox,
            image: layout.image(request.spec.artifact),
            home: at.home,
            temporary: at.temporary,
            volumes: await volumeMounts(layout, request.spec),
            files: await writeFiles(at, request.spec),
            command,
          });
    const directory = sandbox === undefined ? layout.view(request.spec.group) : at.directory;
    const environment = instanceEnvironment(request, description, at, sandbox !== undefined, searchPath);
    return await start(runner, directory, environment, at);
  } catch (error) {
    await rm(at.directory, { recursive: true, force: true });
    throw asKilnError(error);
  }
}

/** Output and status go to files that the process holds itself: no pipe ties it to the server. */
async function start(
  [program = '', ...args]: readonly string[],
  cwd: string,
  env: Record<string, string>,
  at: InstanceLayout,
): Promise<ChildProcess> {
  const log = await open(at.log, 'a', 0o600);
  const status = await open(at.status, 'a', 0o600);
  try {
    const child = spawn(program, args, {
      cwd,
      env,
      detached: true,
      stdio: ['ignore', log.fd, log.fd, status.fd],
    });
    child.unref();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    child.once('spawn', resolve);
    child.once('error', (error) =>
      reject(
        new KilnError('tool.missing', `${program} could not be started: ${error.message}`, {
          cause: error,
          next: `Install ${path.basename(program)} and try again.`,
        }),
      ),
    );
    await promise;
    return child;
  } finally {
    await log.close();
    await status.close();
  }
}

/** Given as environment, never as arguments, which every user of the machine can read. */
function instanceEnvironment(
  request: LaunchRequest,
  description: InstanceDescription,
  at: InstanceLayout,
  sandboxed: boolean,
  searchPath: string,
): Record<string, string> {
  const { spec } = request;
  const { port } = description;
  return {
    PATH: searchPath,
    HOME: sandboxed ? HOME_DIRECTORY : at.home,
    TMPDIR: sandboxed ? TEMPORARY_DIRECTORY : at.temporary,
    LANG: 'C.UTF-8',
    ...spec.environment,
    ...(port === undefined ? {} : { PORT: String(port), HOST: '127.0.0.1' }),
    ...ownVariables(request),
  };
}

async function volumeMounts(layout: LocalLayout, spec: GroupSpec): Promise<readonly Mount[]> {
  return Promise.all(
    spec.process.volumes.map(async (volume) => {
      const source = layout.volume(spec.service, volume.name);
      await mkdir(source, { recursive: true, mode: 0o700 });
      return { source, path: path.resolve(APP_DIRECTORY, volume.path) };
    }),
  );
}

async function writeFiles(at: InstanceLayout, spec: GroupSpec): Promise<readonly Mount[]> {
  if (spec.files.length === 0) return [];
  await mkdir(at.files, { mode: 0o700 });
  return Promise.all(
    spec.files.map(async (file, index) => {
      const source = path.join(at.files, String(index));
      await writeFile(source, file.content, { mode: 0o400 });
      return { source, path: path.join(APP_DIRECTORY, file.path) };
    }),
  );
}

function checkVolume(place: string, sandbox: SandboxHost | undefined): void {
  if (!path.isAbsolute(place)) {
    confine(place);
    return;
  }
  if (sandbox === undefined) {
    throw new KilnError('target.unsupported', `The volume path ${place} is outside the app's folder.`, {
      next: 'Install bubblewrap, or give a path relative to the app.',
    });
  }
  const [top = ''] = path.normalize(place).slice(1).split('/');
  const own = ['proc', 'dev', 'tmp', 'app', 'scratch'].includes(top);
  if (top === '' || own || sandbox.host.root.some((entry) => entry.name === top)) {
    throw new KilnError('target.unsupported', `A volume cannot be put at ${place}: /${top} is the host's.`, {
      next: 'Use a path relative to the app, or one below a folder that the host does not have, such as /data.',
    });
  }
}
