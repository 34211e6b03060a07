/** A Docker engine for one bench: the one that answers, or else Debian's, started on its own and removed again. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024;
const START_LIMIT_MS = 30_000;

/** Debian's client knows BuildKit without a plug-in; another one on PATH may not. */
const PROGRAM = existsSync('/usr/bin/docker') ? '/usr/bin/docker' : 'docker';

export class DockerEngine {
  private readonly env: NodeJS.ProcessEnv;
  /** In the order in which they were started; empty when the engine was there before. */
  private readonly daemons: readonly ChildProcess[];

  private constructor(host: string | undefined, daemons: readonly ChildProcess[]) {
    const own = host === undefined ? {} : { DOCKER_HOST: host };
    this.env = { ...process.env, ...own, DOCKER_BUILDKIT: '1' };
    this.daemons = daemons;
  }

  /** Undefined: none answers, and none can be started here (Debian: docker.io, containerd; as root). */
  static async open(directory: string): Promise<DockerEngine | undefined> {
    const running = new DockerEngine(undefined, []);
    if (await running.answers()) return running;
    const installed = existsSync('/usr/sbin/dockerd') && existsSync('/usr/bin/containerd');
    if (!installed || process.getuid?.() !== 0) return undefined;
    await mkdir(directory);
    const at = (name: string): string => path.join(directory, name);
    const containerd = startDaemon(at('containerd.log'), '/usr/bin/containerd', [
      ...['--root', at('containerd'), '--state', at('containerd-state'), '--address', at('containerd.sock')],
    ]);
    await untilExists(at('containerd.sock'));
    const host = `unix://${at('docker.sock')}`;
    const dockerd = startDaemon(at('dockerd.log'), '/usr/sbin/dockerd', [
      ...['--containerd', at('containerd.sock'), '--host', host, '--pidfile', at('docker.pid')],
      ...['--data-root', at('data'), '--exec-root', at('exec')],
      ...['--default-ulimit', 'nofile=1024:4096', '--bridge=none', '--iptables=false'],
    ]);
    const engine = new DockerEngine(host, [containerd, dockerd]);
    const giveUpAt = performance.now() + START_LIMIT_MS;
    while (!(await engine.answers())) {
      if (performance.now() > giveUpAt) {
        await engine.close();
        return undefined;
      }
      await sleep(200);
    }
    return engine;
  }

  async build(app: string, dockerfile: string, tag: string): Promise<void> {
    await this.call('build', '--quiet', '--tag', tag, '--file', dockerfile, app);
  }

  /** To a registry on this machine, which takes no TLS. */
  async push(tag: string, to: string): Promise<void> {
    await this.call('tag', tag, to);
    await this.call('push', to);
  }

  /** Forgets all that was built before, in the cache and by name. */
  async forget(tag: string): Promise<void> {
    await this.call('image', 'rm', '--force', tag).catch(() => undefined); // There may be none yet.
    await this.call('builder', 'prune', '--all', '--force');
  }

  async close(): Promise<void> {
    for (const daemon of this.daemons.toReversed()) {
      if (daemon.exitCode !== null || daemon.signalCode !== null) continue;
      const ended = once(daemon, 'exit');
      daemon.kill('SIGTERM');
      await ended;
    }
  }

  private async answers(): Promise<boolean> {
    try {
      await this.call('info');
      return true;
    } catch {
      return false;
    }
  }

  private async call(...args: string[]): Promise<void> {
    await run(PROGRAM, args, { env: this.env, maxBuffer: OUTPUT_LIMIT_BYTES });
  }
}

function startDaemon(logFile: string, program: string, args: readonly string[]): ChildProcess {
  const log = openSync(logFile, 'a');
  try {
    return spawn(program, args, { stdio: ['ignore', log, log] });
  } finally {
    closeSync(log);
  }
}

async function untilExists(file: string): Promise<void> {
  const giveUpAt = performance.now() + START_LIMIT_MS;
  while (!existsSync(file)) {
    if (performance.now() > giveUpAt) throw new Error(`${file} did not appear`);
    await sleep(50);
  }
}
