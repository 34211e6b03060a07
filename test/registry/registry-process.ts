/** A real registry (Debian's docker-registry) of a test's own, which can be killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { until } from '../e2e/kiln.ts';
import { freePort } from '../free-port.ts';

const PROGRAM = '/usr/bin/docker-registry';

/** Undefined when it is there; in CI it has to be. */
export function noRegistry(): string | undefined {
  if (existsSync(PROGRAM)) return undefined;
  const missing = 'needs a registry: apt-get install docker-registry';
  if (process.env.CI === 'true') throw new Error(missing);
  return missing;
}

export class RegistryProcess {
  readonly directory: string;
  readonly port: number;
  #process: ChildProcess | undefined;

  private constructor(directory: string, port: number) {
    this.directory = directory;
    this.port = port;
  }

  /** @param auth the `auth` section of its configuration */
  static async start(auth: object = {}): Promise<RegistryProcess> {
    const directory = await mkdtemp(path.join(tmpdir(), 'kiln-registry-'));
    const registry = new RegistryProcess(directory, await freePort());
    // JSON is YAML.
    const config = {
      version: '0.1',
      log: { level: 'error' },
      storage: { filesystem: { rootdirectory: path.join(directory, 'data') }, delete: { enabled: true } },
      http: { addr: `127.0.0.1:${registry.port}` },
      ...(Object.keys(auth).length === 0 ? {} : { auth }),
    };
    await writeFile(path.join(directory, 'config.yml'), JSON.stringify(config));
    await registry.again();
    return registry;
  }

  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Starts it on what it has stored. */
  async again(): Promise<void> {
    const config = path.join(this.directory, 'config.yml');
    const child = spawn(PROGRAM, ['serve', config], { stdio: ['ignore', 'ignore', 'pipe'] });
    let output = '';
    child.stderr.on('data', (piece: Buffer) => {
      output += piece.toString();
    });
    this.#process = child;
    await until('the registry answers', async () => {
      if (child.exitCode !== null) throw new Error(`the registry ended:\n${output}`);
      const answer = await fetch(`http://${this.host}/v2/`).catch(() => undefined);
      return answer !== undefined;
    });
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    this.#process = undefined;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }

  async status(route: string): Promise<number> {
    const accept = 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json';
    const answer = await fetch(`http://${this.host}/v2/${route}`, { headers: { accept } });
    await answer.arrayBuffer();
    return answer.status;
  }

  /** Writes other bytes where it keeps a blob. */
  async damage(digest: string): Promise<void> {
    const hex = digest.slice('sha256:'.length);
    const folder = path.join(this.directory, 'data/docker/registry/v2/blobs/sha256');
    const file = path.join(folder, hex.slice(0, 2), hex, 'data');
    const bytes = await readFile(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 0xff;
    await writeFile(file, bytes);
  }

  async remove(): Promise<void> {
    await this.kill();
    await rm(this.directory, { recursive: true, force: true });
  }
}
