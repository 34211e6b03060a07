/**
 * The secrets that providers sign with: in the store, so that every server can check a signature, and sealed with a
 * key that is not. All of a store are sealed with one key.
 */
import { KilnError } from '../../domain/errors.ts';
import type { SealedSecret, WebhookStore } from '../../domain/ports/webhooks.ts';

export interface Sealing {
  /** Names the key, and says nothing of it. */
  readonly id: string;
  /** What is sealed for one owner opens for no other. */
  seal(owner: string, secret: string): string;
  open(owner: string, sealed: string): string;
}

export class WebhookSecrets {
  readonly #store: Pick<WebhookStore, 'secretOf' | 'sealedWith'>;
  readonly #key: Sealing;

  constructor(store: Pick<WebhookStore, 'secretOf' | 'sealedWith'>, key: Sealing) {
    this.#store = store;
    this.#key = key;
  }

  /** Undefined: there is none of the id. Fails with `secret.sealed`, whichever id it is, where the key is another one. */
  async read(id: string): Promise<string | undefined> {
    await this.#assertKey();
    const sealed = await this.#store.secretOf(id);
    return sealed && this.#key.open(id, sealed);
  }

  async seal(id: string, secret: string): Promise<SealedSecret> {
    await this.#assertKey();
    return { key: this.#key.id, sealed: this.#key.seal(id, secret) };
  }

  async #assertKey(): Promise<void> {
    const used = await this.#store.sealedWith();
    if (used === undefined || used === this.#key.id) return;
    throw new KilnError(
      'secret.sealed',
      `The secrets of this database are sealed with the key ${used}, and this server has the key ${this.#key.id}.`,
      {
        next: 'Copy the file `key` of the state directory of the server that added the webhooks to this one, name it in KILN_KEY_FILE, and start this server again.',
      },
    );
  }
}
