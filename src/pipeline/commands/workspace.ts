/** The folders of one command: gone when it has ended, and swept when its server died. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';

export class Workspace {
  readonly root: string;
  /** Where the source is and the commands run. */
  readonly app: string;
  readonly home: string;
  readonly secrets: string;
  /** What is /tmp to the commands in a sandbox, and $TMPDIR without one. */
  readonly temporary: string;
  /** What names of services mean, once there are some. */
  hostsFile: string | undefined;

  constructor(root: string) {
    this.root = root;
    this.app = path.join(root, 'app');
    this.home = path.join(root, 'home');
    this.secrets = path.join(root, 'secrets');
    this.temporary = path.join(root, 'tmp');
  }

  async make(files: Readonly<Record<string, string>>): Promise<void> {
    // One that ran under this key before is over.
    await this.remove();
    for (const folder of [this.home, this.secrets, this.temporary])
      await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const [name, text] of Object.entries(files)) {
      await writeFile(path.join(this.secrets, name), text, { mode: 0o600 });
    }
  }

  /** `~/` is its home, all else is in the source; relative to the root, as tar wants it. */
  member(wanted: string): string {
    return wanted.startsWith('~/') ? `./home/${wanted.slice(2)}` : `./app/${wanted}`;
  }

  async remove(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }
}
