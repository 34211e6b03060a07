/** An emulator of Amazon's API of a test's own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { until } from '../e2e/kiln.ts';
import { freePort } from '../free-port.ts';

/** Undefined when it is there; in CI it has to be. */
export function noMoto(): string | undefined {
  if (spawnSync('moto_server', ['--version']).error === undefined) return undefined;
  const missing = 'needs moto_server (Python: moto[server])';
  if (process.env.CI === 'true') throw new Error(missing);
  return missing;
}

export class Moto {
  readonly endpoint: string;
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(endpoint: string, child: ChildProcess) {
    this.endpoint = endpoint;
    this.#process = child;
    this.#ended = once(child, 'exit');
  }

  static async start(): Promise<Moto> {
    const port = await freePort();
    const arguments_ = ['-H', '127.0.0.1', '-p', String(port)];
    const moto = new Moto(
      `http://127.0.0.1:${port}`,
      spawn('moto_server', arguments_, { stdio: 'ignore', detached: true }),
    );
    await until('moto_server answers', async () => {
      const answer = await fetch(moto.endpoint).catch(() => undefined);
      return answer !== undefined;
    });
    return moto;
  }

  async close(): Promise<void> {
    if (this.#process.pid !== undefined && this.#process.exitCode === null) {
      process.kill(-this.#process.pid, 'SIGKILL');
    }
    await this.#ended;
  }
}
