/** The secrets that providers sign with: a file each, readable by the server's user only, in its state directory. */
import path from 'node:path';
import { readIfThere, removeDrafts, removeFile, replaceFile } from '../../files/durable-file.ts';
import { namesIn } from '../../files/names-in.ts';
import { isMissing } from '../../files/system-error.ts';

const ID = /^[0-9a-f]{16,64}$/;

export class WebhookSecrets {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Undefined: another server has it, or nobody. */
  async read(id: string): Promise<string | undefined> {
    return readIfThere(this.#file(id));
  }

  keep(id: string, secret: string): Promise<void> {
    return replaceFile(this.#file(id), secret);
  }

  forget(id: string): Promise<void> {
    return removeFile(this.#file(id));
  }

  /** Those of webhooks that were never added, or are no more: a crash leaves them. */
  async sweep(kept: ReadonlySet<string>): Promise<void> {
    const names = await namesIn(this.#folder);
    for (const name of names) if (ID.test(name) && !kept.has(name)) await this.forget(name);
    await removeDrafts(this.#folder).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
  }

  #file(id: string): string {
    if (!ID.test(id)) throw new Error('a webhook’s id is hex');
    return path.join(this.#folder, id);
  }
}
