/** Texts of the blocks that were read last. Blocks never change, and those who follow one log read the same ones. */

const KEPT = 16;

export class BlockCache {
  /** In order of last use. */
  readonly #texts = new Map<string, Promise<Buffer>>();

  get(name: string, read: () => Promise<Buffer>): Promise<Buffer> {
    const text = this.#texts.get(name) ?? read();
    this.#texts.delete(name);
    this.#texts.set(name, text);
    // One that could not be read is asked for again.
    text.catch(() => this.#texts.delete(name));
    const [oldest] = this.#texts.keys();
    if (this.#texts.size > KEPT && oldest !== undefined) this.#texts.delete(oldest);
    return text;
  }
}
