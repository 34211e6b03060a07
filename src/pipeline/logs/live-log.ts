/** A log that is written now. */
export class Live {
  /** Grows with each change. */
  version = 0;
  readonly #waiting = new Set<() => void>();

  changed(): void {
    this.version += 1;
    for (const wake of this.#waiting) wake();
  }

  /** Resolves once there is another version, or the signal is aborted. */
  after(version: number, signal: AbortSignal): Promise<void> {
    if (this.version !== version || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}
