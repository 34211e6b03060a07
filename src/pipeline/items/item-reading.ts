/** One read of a distributed Map: file after file, until there are as many items as are wanted. */
import { KilnError } from '../../domain/errors.ts';
import { manifestType, parseManifest } from '../asl/item-manifest.ts';
import type { Json, JsonObject } from '../asl/json.ts';
import { type ItemFile, LARGEST_FILE_BYTES, textOf } from './item-file.ts';
import type { ItemSource } from './item-sources.ts';
import type { FoundItems } from './read-in-thread.ts';

export type ReadItemFile = (file: ItemFile, signal: AbortSignal) => Promise<FoundItems>;

const LARGEST_MANIFEST_BYTES = 4 * 1_024 * 1_024;
const MOST_ITEMS = 50_000;
/** All of them, as JSON: they become one event. */
const LARGEST_ITEMS_BYTES = 64 * 1_024 * 1_024;

/** Its functions fail with a KilnError, or a StateFailure that says what is wrong with the file. */
export class ItemReading {
  readonly #config: JsonObject;
  readonly #readFile: ReadItemFile;
  readonly #signal: AbortSignal;
  readonly #wanted: number;
  #sizeBytes = 0;
  readonly #items: Json[] = [];

  /** @param config the ReaderConfig, whose MaxItems is a number; 0 stands for no limit */
  constructor(config: JsonObject, readFile: ReadItemFile, signal: AbortSignal) {
    this.#config = config;
    this.#readFile = readFile;
    this.#signal = signal;
    const { MaxItems } = config;
    this.#wanted = typeof MaxItems === 'number' && MaxItems > 0 ? MaxItems : Number.POSITIVE_INFINITY;
  }

  /** Of a file of data, or of those that a manifest names. */
  async ofFile(source: ItemSource, key: string): Promise<readonly Json[]> {
    const type = manifestType(this.#config);
    if (type === undefined) {
      await this.#read(source, key, this.#config);
      return this.#items;
    }
    const content = textOf(await source.read(key, LARGEST_MANIFEST_BYTES, this.#signal));
    const { files, config } = parseManifest(type, content, this.#config);
    for (const file of files) {
      if (this.#isFull()) break;
      await this.#read(source.at(file.bucket), file.key, config);
    }
    return this.#items;
  }

  /** What a listing says of each file or, if they are to be loaded, what is in all of them. */
  async ofListing(source: ItemSource, prefix: string): Promise<readonly Json[]> {
    const isLoaded = this.#config.Transformation === 'LOAD_AND_FLATTEN';
    for await (const found of source.list(prefix, this.#signal)) {
      if (this.#isFull()) break;
      if (!isLoaded) this.#add({ items: [found], sizeBytes: 0 });
      // An empty object whose key ends so stands for a folder.
      else if (typeof found.Key === 'string' && !found.Key.endsWith('/'))
        await this.#read(source, found.Key, this.#config);
    }
    return this.#items;
  }

  async #read(source: ItemSource, key: string, config: JsonObject): Promise<void> {
    const bytes = await source.read(key, LARGEST_FILE_BYTES, this.#signal);
    // One more than there may be tells that there are too many.
    const most = Math.min(this.#wanted, MOST_ITEMS + 1) - this.#items.length;
    this.#add(await this.#readFile({ bytes, config, most }, this.#signal));
  }

  #isFull(): boolean {
    return this.#items.length >= this.#wanted;
  }

  #add({ items, sizeBytes }: FoundItems): void {
    this.#sizeBytes += sizeBytes;
    if (this.#items.length + items.length > MOST_ITEMS || this.#sizeBytes > LARGEST_ITEMS_BYTES) {
      throw new KilnError(
        'input.too-large',
        `There are more than ${MOST_ITEMS} items, or more than ${LARGEST_ITEMS_BYTES} bytes of them.`,
        { next: 'Set MaxItems, or share them out over several Maps.' },
      );
    }
    for (const item of items) this.#items.push(item);
  }
}
