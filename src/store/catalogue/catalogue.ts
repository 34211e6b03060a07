import type { Image } from '../../domain/image.ts';
import type { ImageQuery } from '../../domain/image-query.ts';
import type { Page, PageRequest } from '../../domain/page.ts';
import type { CatalogueStore } from '../../domain/ports/catalogue.ts';
import type { Database } from '../database.ts';
import { imagesById } from '../images.ts';
import { pageBounds } from '../page.ts';
import type { LongReads } from './long-reads.ts';

export class Catalogue implements CatalogueStore {
  readonly #database: Database;
  readonly #reads: LongReads;

  constructor(database: Database, reads: LongReads) {
    this.#database = database;
    this.#reads = reads;
  }

  async search(query: ImageQuery, page: PageRequest): Promise<Page<Image>> {
    const { limit } = pageBounds({ limit: page.limit });
    const wanted = Math.min(limit, query.limit ?? limit);
    const { ids, cursor } = await this.#reads.run({
      kind: 'search',
      query,
      page: { limit: wanted, ...(page.cursor === undefined ? {} : { cursor: page.cursor }) },
    });
    const items = await this.#database.read((db) => imagesById(db, ids));
    return { items, ...(cursor === undefined || query.limit !== undefined ? {} : { cursor }) };
  }
}
