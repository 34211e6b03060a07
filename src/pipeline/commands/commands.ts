/**
 * Commands of a pipeline: one shell script, in a workspace of its own that is gone afterwards. What is named here is
 * resolved here: secrets, caches, artifacts; none of their contents is in an event, an argument or a log.
 */

import { createHash } from 'node:crypto';
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import type { ArtifactStore } from '../../domain/ports/artifacts.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { TaskLog, TaskLogs } from '../../domain/ports/task-log.ts';
import { endMarked } from '../../processes/marked-processes.ts';
import { noArtifact } from '../artifacts/no-artifact.ts';
import { type TaskCall, TaskFailed } from '../task.ts';
import { COMMAND_MARK, type Program, runProgram } from './command-process.ts';
import {
  type CommandSandbox,
  type Sandbox,
  sandboxArguments,
  strangersNeedSandbox,
} from './command-sandbox.ts';
import { ARTIFACT_BYTES, type CacheWish, type CommandOutput, type CommandWish } from './command-wish.ts';
import { hostsFile } from './hosts-file.ts';
import { CommandGroups, type Limited } from './limits.ts';
import { MarkedOutput, scriptOf } from './script.ts';
import type { Secrets } from './secret-folder.ts';
import { mayChange, secretValues } from './secret-values.ts';
import type { Services } from './services.ts';
import type { CommandSources } from './source.ts';
import { contentsKey, existing, StoredFolders } from './stored-folders.ts';
import { Workspace } from './workspace.ts';

export interface CommandHost {
  readonly stateDirectory: string;
  readonly searchPath: string;
  readonly sandbox: CommandSandbox;
  /** Handed to commands that may speak to the engine. */
  readonly dockerSocket: string;
  readonly secrets: Secrets;
  readonly logs: TaskLogs;
  readonly services: Services;
  readonly sources: CommandSources;
  readonly artifacts: ArtifactStore;
  readonly clock: Clock;
  readonly newId: () => string;
}

const OUTPUT_SHOWN_BYTES = 4_096;
const MEBIBYTE = 1024 * 1024;
const CACHE_BYTES = 2 * 1024 * MEBIBYTE;
const CACHES_BYTES = 10 * 1024 * MEBIBYTE;
const KEPT_MS = 30 * 24 * 3_600_000;
/** Reading back what a command left behind, and packing it. */
const PACK = ['tar', '--create', '--file=-', '--sort=name', '--mtime=@0', '--owner=0', '--group=0'];
const UNPACK = ['tar', '--extract', '--file=-', '--no-same-owner'];

interface Running {
  readonly wish: CommandWish;
  readonly call: TaskCall;
  readonly workspace: Workspace;
  /** Undefined: there is none on this machine. */
  readonly sandbox: Sandbox | undefined;
  readonly log: TaskLog;
  readonly limited: Limited;
  readonly signal: AbortSignal;
  readonly environment: Readonly<Record<string, string>>;
  /** Name of the stored folder of each cache, and of the one that was there. */
  readonly caches: { readonly wish: CacheWish; readonly name: string; readonly found: string | undefined }[];
}

export class Commands {
  readonly #host: CommandHost;
  readonly #groups: CommandGroups;
  readonly #caches: StoredFolders;

  constructor(host: CommandHost) {
    this.#host = host;
    this.#groups = new CommandGroups(host.stateDirectory);
    this.#caches = new StoredFolders(this.#folder('caches'), host.newId);
  }

  /** Before the first command: ends what a dead server has left, and removes its workspaces. */
  async sweep(): Promise<void> {
    await endMarked(COMMAND_MARK, `${this.#host.stateDirectory}:`);
    await new Workspace(this.#folder('work')).remove();
    await Promise.all([this.#groups.sweep(), this.#caches.sweep(), this.#host.artifacts.sweep()]);
    await this.#host.services.sweep();
  }

  async run(wish: CommandWish, call: TaskCall, signal: AbortSignal): Promise<CommandOutput> {
    const { logs, newId } = this.#host;
    const secrets = await this.#secrets(wish, call);
    const sandbox = await this.#allowed(wish, call);
    const workspace = new Workspace(this.#folder('work', call.key.replaceAll('/', '-')));
    const { key, execution, pipeline, request } = call;
    const about = { key, execution, pipeline, state: request.state, secrets: secrets.texts };
    const log = await logs.open(about);
    const deadline = AbortSignal.timeout(wish.timeoutSeconds * 1_000);
    const limited = await this.#groups.make(newId(), wish.limits);
    try {
      await workspace.make({ ...wish.files, ...secrets.files });
      const environment = {
        HOME: workspace.home,
        ...wish.environment,
        ...secrets.environment,
        ...(wish.docker && { DOCKER_HOST: `unix://${this.#host.dockerSocket}` }),
        ...(sandbox === undefined && { TMPDIR: workspace.temporary }),
        KILN_SECRETS: workspace.secrets,
      };
      const either = AbortSignal.any([signal, deadline]);
      const running = {
        wish,
        call,
        workspace,
        sandbox,
        log,
        limited,
        signal: either,
        environment,
        caches: [],
      };
      return await this.#steps(running);
    } catch (thrown) {
      if (!deadline.aborted || signal.aborted) throw thrown;
      const output = await log.tail(OUTPUT_SHOWN_BYTES);
      const cause = `The commands did not end within ${wish.timeoutSeconds} s:\n${output}`;
      throw new TaskFailed('States.Timeout', cause);
    } finally {
      await this.#cleanUp(wish, call, workspace, limited).finally(() => log.close());
    }
  }

  async #cleanUp(wish: CommandWish, call: TaskCall, workspace: Workspace, limited: Limited): Promise<void> {
    // Each of them, whatever becomes of the others.
    const done = await Promise.allSettled([
      Object.keys(wish.services).length > 0 ? this.#host.services.remove(call.key) : undefined,
      workspace.remove(),
      limited.remove(),
    ]);
    for (const one of done) if (one.status === 'rejected') throw one.reason;
  }

  async #steps(running: Running): Promise<CommandOutput> {
    const { wish, call, workspace, log, limited, signal } = running;
    if (limited.mode === 'watch' && (wish.limits.cpus ?? wish.limits.processes) !== undefined)
      await log.write(
        Buffer.from('limits: no control groups here, so processors and processes are not limited\n'),
      );
    await log.group('source');
    const source = await this.#host.sources.bring(wish, workspace.app, signal);
    // No output: the end of that is the task's result.
    if (source !== undefined) await log.group(source);
    await this.#restore(running);
    const environment = await this.#startServices(running);
    const exitCode = await this.#script({ ...running, environment });
    const output = await log.tail(OUTPUT_SHOWN_BYTES);
    if (exitCode !== 0) {
      const cause = `The commands ended with exit code ${exitCode}:\n${output}`;
      throw new TaskFailed('Cmd.Failed', cause);
    }
    const artifacts = await this.#keepArtifacts(running);
    // What runs for somebody who may change nothing leaves nothing behind for those who may.
    if (mayChange(call)) await this.#keepCaches(running);
    return { exitCode, output, ...(Object.keys(artifacts).length > 0 && { artifacts }) };
  }

  /** Fails with `auth.denied` where the command is a stranger's and nothing would hold it. */
  async #allowed(wish: CommandWish, call: TaskCall): Promise<Sandbox | undefined> {
    const sandbox = await this.#host.sandbox.find(wish.docker);
    if (mayChange(call)) return sandbox;
    if (sandbox === undefined) throw strangersNeedSandbox();
    if (!wish.docker) return sandbox;
    throw new KilnError(
      'auth.denied',
      'The Docker engine is not given to an execution that may change nothing.',
      {
        next: 'Start it as a deployer, or take "docker" out of the task.',
      },
    );
  }

  async #secrets(
    wish: CommandWish,
    call: TaskCall,
  ): Promise<{
    environment: Record<string, string>;
    files: Record<string, string>;
    texts: readonly string[];
  }> {
    const values = await secretValues(wish, call, this.#host.secrets);
    const named = (wanted: Readonly<Record<string, string>>) =>
      Object.fromEntries(Object.entries(wanted).map(([as, name]) => [as, values[name] ?? '']));
    const [environment, files] = [named(wish.secrets), named(wish.secretFiles)];
    return { environment, files, texts: Object.values(values) };
  }

  async #restore(running: Running): Promise<void> {
    const { wish, call, workspace, log, caches } = running;
    for (const cache of wish.caches) {
      const contents = await contentsKey(workspace.app, cache.files);
      const about = [call.pipeline, cache.key, contents, ...cache.paths].join('\0');
      const name = createHash('sha256').update(about).digest('hex');
      let found: string | undefined;
      for (const one of mayChange(call) ? [name, guarded(name)] : [name]) {
        const unpack = (stdin: number) => this.#unpack(running, stdin, workspace.root);
        if (found === undefined && (await this.#caches.read(one, unpack))) found = one;
      }
      caches.push({ wish: cache, name, found });
      await log.write(Buffer.from(`cache ${cache.key}: ${found === undefined ? 'none yet' : 'restored'}\n`));
    }
    for (const [folder, digest] of Object.entries(wish.inputs)) {
      const target = path.join(workspace.app, folder);
      const make = ['mkdir', '--parents', '--', target];
      await this.#program(running, [...this.#sandbox(running, workspace.root), ...make]);
      const unpacked = await this.#host.artifacts.read(
        digest,
        (stdin) => this.#unpack(running, stdin, target),
        running.signal,
      );
      if (unpacked === undefined) throw new TaskFailed('Cmd.Artifact', noArtifact(digest));
    }
  }

  async #unpack(running: Running, stdin: number, target: string): Promise<true> {
    const argv = [...this.#sandbox(running, target), ...UNPACK];
    const { exitCode } = await this.#program(running, argv, { stdin });
    if (exitCode === 0) return true;
    throw new TaskFailed('Cmd.Artifact', `Nothing could be unpacked into ${path.basename(target)}.`);
  }

  async #startServices(running: Running): Promise<Readonly<Record<string, string>>> {
    const { wish, call, workspace, log, signal, environment } = running;
    if (Object.keys(wish.services).length === 0) return environment;
    await log.group('services');
    const addresses = await this.#host.services.start(call.key, wish.services, signal);
    workspace.hostsFile = await hostsFile(workspace.root, addresses);
    const variables = [...addresses].map(([name, address]) => [
      `KILN_SERVICE_${name.toUpperCase().replaceAll('-', '_')}`,
      address,
    ]);
    return { ...environment, ...Object.fromEntries(variables) };
  }

  async #script(running: Running): Promise<number> {
    const { wish, workspace, log, limited } = running;
    const nonce = this.#host.newId();
    const { text, titles } = await scriptOf(wish.commands, nonce);
    const marked = new MarkedOutput(nonce);
    const put = async (pieces: ReturnType<MarkedOutput['take']>): Promise<void> => {
      for (const piece of pieces) {
        if ('bytes' in piece) await log.write(piece.bytes);
        else await log.group(titles[piece.command] ?? '');
      }
    };
    const argv = limited.enter([...this.#sandbox(running, workspace.app), '/bin/sh', '-ec', text]);
    const { memoryMb = 0 } = wish.limits;
    const watchBytes = limited.mode === 'watch' ? memoryMb * MEBIBYTE : 0;
    const end = await this.#program(running, argv, { watchBytes }, async (bytes) => put(marked.take(bytes)));
    await put(marked.end());
    const tookTooMuch = end.tookTooMuch || (end.exitCode !== 0 && (await limited.outOfMemory()));
    if (!tookTooMuch) return end.exitCode;
    const output = await log.tail(OUTPUT_SHOWN_BYTES);
    throw new TaskFailed('Cmd.OutOfMemory', `The commands took more than ${memoryMb} MB:\n${output}`);
  }

  async #keepArtifacts(running: Running): Promise<Record<string, { digest: string; sizeBytes: number }>> {
    const kept: Record<string, { digest: string; sizeBytes: number }> = {};
    const { wish, workspace, log } = running;
    for (const [name, paths] of Object.entries(wish.artifacts)) {
      const found = await existing(workspace.app, paths);
      if (found.length < paths.length) {
        const missing = paths.find((one) => !found.includes(one));
        throw new TaskFailed('Cmd.Artifact', `The commands left no ${missing} for the artifact ${name}.`);
      }
      const stored = await this.#host.artifacts.write(
        (stdout) => this.#pack(running, workspace.app, found, stdout),
        ARTIFACT_BYTES,
        running.signal,
      );
      if (stored === undefined)
        throw new TaskFailed('Cmd.Artifact', `The artifact ${name} is larger than ${ARTIFACT_BYTES} bytes.`);
      kept[name] = stored;
      await log.write(Buffer.from(`artifact ${name}: ${stored.digest}\n`));
    }
    await this.#host.artifacts.trim(this.#host.clock.now());
    return kept;
  }

  async #keepCaches(running: Running): Promise<void> {
    const { workspace, log, caches } = running;
    const { secrets, secretFiles } = running.wish;
    const hadSecrets = Object.keys({ ...secrets, ...secretFiles }).length > 0;
    const isGuarded = hadSecrets || caches.some(({ name, found }) => found === guarded(name));
    for (const { wish, name, found } of caches) {
      // A key that says what the content follows from names the same content always.
      if (found !== undefined && wish.files.length > 0) continue;
      const members = await existing(
        workspace.root,
        wish.paths.map((one) => workspace.member(one)),
      );
      if (members.length === 0) continue;
      const stored = await this.#caches.write(
        (stdout) => this.#pack(running, workspace.root, members, stdout),
        { nameOf: () => (isGuarded ? guarded(name) : name), limitBytes: CACHE_BYTES },
      );
      if (stored !== undefined) await this.#caches.remove(isGuarded ? name : guarded(name));
      const said = stored === undefined ? `larger than ${CACHE_BYTES} bytes, not kept` : 'kept';
      await log.write(Buffer.from(`cache ${wish.key}: ${said}\n`));
    }
    if (caches.length > 0) await this.#caches.trim(CACHES_BYTES, KEPT_MS, this.#host.clock.now());
  }

  async #pack(running: Running, from: string, members: readonly string[], stdout: number): Promise<void> {
    const argv = [...this.#sandbox(running, from), ...PACK, '--', ...members];
    const { exitCode } = await this.#program(running, argv, { stdout });
    if (exitCode !== 0) throw new TaskFailed('Cmd.Artifact', `${members.join(', ')} could not be packed.`);
  }

  #program(
    { call, workspace, environment, log, signal }: Running,
    argv: readonly string[],
    more: Pick<Program, 'stdin' | 'stdout' | 'watchBytes'> = {},
    take: (bytes: Uint8Array) => Promise<void> = (bytes) => log.write(bytes),
  ): ReturnType<typeof runProgram> {
    const mark = `${this.#host.stateDirectory}:${call.key}:`;
    const { searchPath } = this.#host;
    const program = { argv, directory: workspace.root, searchPath, environment, mark, ...more };
    return runProgram(program, take, signal);
  }

  /** Without a sandbox the directory is entered by the program itself. */
  #sandbox({ workspace, sandbox }: Running, directory: string): readonly string[] {
    return sandbox === undefined
      ? ['env', `--chdir=${directory}`]
      : sandboxArguments(sandbox, workspace, directory);
  }

  #folder(...parts: readonly string[]): string {
    return path.join(this.#host.stateDirectory, 'pipelines', ...parts);
  }
}

/** Of what a command with secrets has left, or one that was given such: there may be a secret in it, for no stranger. */
function guarded(name: string): string {
  return `${name}-guarded`;
}
