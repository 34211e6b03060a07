import type { Image } from '../image.ts';
import type { ImageQuery } from '../image-query.ts';
import type { Page, PageRequest } from '../page.ts';

/** Reads that may look at very many images: they never hold up the server's own thread. */
export interface CatalogueStore {
  /**
   * In the order that the query asks for. The smaller of its own limit and the page's holds, and a query with a
   * limit of its own has no further page. A page never shifts while images are added.
   */
  search(query: ImageQuery, page: PageRequest): Promise<Page<Image>>;
}
