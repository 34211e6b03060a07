/** A list that is read piece by piece. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Pass it back to get the next page; absent on the last. */
  readonly cursor?: string;
}

export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string;
}
