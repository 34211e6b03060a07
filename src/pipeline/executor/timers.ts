/** Many timers on one: a heap by time, and a single clock timer for the first of them. */

interface Entry {
  readonly key: string;
  readonly atMs: number;
}

/** Node's timers know nothing of a clock that was set, or of a machine that slept: so the clock is looked at again. */
const LOOK_AGAIN_MS = 10_000;
/** Entries that were cleared stay in the heap until they are this much of it. */
const COMPACT_FROM = 1_000;

export class Timers {
  readonly #now: () => number;
  readonly #fire: (key: string) => void;
  /** The entry that counts for its key; others in the heap are past. */
  readonly #current = new Map<string, Entry>();
  #heap: Entry[] = [];
  #clock: NodeJS.Timeout | undefined;
  #clockAtMs = Number.POSITIVE_INFINITY;

  constructor(now: () => number, fire: (key: string) => void) {
    this.#now = now;
    this.#fire = fire;
  }

  get size(): number {
    return this.#current.size;
  }

  /** Replaces the timer of this key. */
  set(key: string, atMs: number): void {
    const entry = { key, atMs };
    this.#current.set(key, entry);
    push(this.#heap, entry);
    this.#schedule();
  }

  clear(key: string): void {
    this.#current.delete(key);
    if (this.#heap.length < COMPACT_FROM || this.#heap.length < 2 * this.#current.size) return;
    // In order of time, and so a heap.
    this.#heap = [...this.#current.values()].sort((one, other) => one.atMs - other.atMs);
  }

  close(): void {
    clearTimeout(this.#clock);
    this.#current.clear();
    this.#heap = [];
  }

  #schedule(): void {
    const first = this.#heap[0];
    if (first === undefined || first.atMs >= this.#clockAtMs) return;
    clearTimeout(this.#clock);
    this.#clockAtMs = first.atMs;
    const inMs = Math.min(Math.max(first.atMs - this.#now(), 0), LOOK_AGAIN_MS);
    this.#clock = setTimeout(() => this.#fireDue(), inMs);
    this.#clock.unref();
  }

  #fireDue(): void {
    this.#clockAtMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#now();
    for (let first = this.#heap[0]; first !== undefined && first.atMs <= nowMs; first = this.#heap[0]) {
      pop(this.#heap);
      if (this.#current.get(first.key) !== first) continue;
      this.#current.delete(first.key);
      this.#fire(first.key);
    }
    this.#schedule();
  }
}

function push(heap: Entry[], entry: Entry): void {
  let at = heap.length;
  heap.push(entry);
  while (at > 0) {
    const above = (at - 1) >> 1;
    const parent = heap[above];
    if (parent === undefined || parent.atMs <= entry.atMs) break;
    heap[at] = parent;
    at = above;
  }
  heap[at] = entry;
}

/** Takes the first one out. */
function pop(heap: Entry[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    const left = heap[2 * at + 1];
    const right = heap[2 * at + 2];
    const isRight = right !== undefined && left !== undefined && right.atMs < left.atMs;
    const least = isRight ? right : left;
    if (least === undefined || least.atMs >= last.atMs) break;
    heap[at] = least;
    at = 2 * at + (isRight ? 2 : 1);
  }
  heap[at] = last;
}
