/** How much of what anybody may send is let in at once, before it is known who sent it. */
import { KilnError } from '../domain/errors.ts';

export interface GateLimits {
  readonly bodyBytes: number;
  /** Of all bodies that are read or worked on at the same time. */
  readonly totalBytes: number;
  readonly atOnce: number;
  /** For a whole body to come in. */
  readonly bodyMs: number;
}

export const WEBHOOK_LIMITS: GateLimits = {
  // A push that names two thousand commits and their files, which is the most that GitHub sends, is about 3 MB.
  bodyBytes: 5 * 1024 * 1024,
  totalBytes: 32 * 1024 * 1024,
  atOnce: 32,
  bodyMs: 10_000,
};

export class WebhookGate {
  readonly #limits: GateLimits;
  #heldBytes = 0;
  #held = 0;

  constructor(limits: GateLimits) {
    this.#limits = limits;
  }

  /** Reads the body and works on it, or fails at once: `server.flooded`, `input.too-large`, `timeout`. */
  async within<Result>(request: Request, work: (body: Uint8Array) => Promise<Result>): Promise<Result> {
    const { bodyBytes, totalBytes, atOnce } = this.#limits;
    const promised = Number(request.headers.get('content-length') ?? bodyBytes);
    if (promised > bodyBytes) throw tooLarge(bodyBytes);
    // One that does not say how long it is may be as long as any.
    const needed = Number.isInteger(promised) && promised >= 0 ? promised : bodyBytes;
    if (this.#held >= atOnce || this.#heldBytes + needed > totalBytes) throw flooded();
    this.#held += 1;
    this.#heldBytes += needed;
    try {
      return await work(await this.#read(request, needed));
    } finally {
      this.#held -= 1;
      this.#heldBytes -= needed;
    }
  }

  async #read(request: Request, mostBytes: number): Promise<Uint8Array> {
    if (request.body === null) return new Uint8Array();
    const reader = request.body.getReader();
    const { promise: tooLate, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(slow()), this.#limits.bodyMs);
    const pieces: Uint8Array[] = [];
    let sizeBytes = 0;
    try {
      for (;;) {
        const { value, done } = await Promise.race([reader.read(), tooLate]);
        if (done) return Buffer.concat(pieces);
        sizeBytes += value.byteLength;
        if (sizeBytes > mostBytes) throw tooLarge(this.#limits.bodyBytes);
        pieces.push(value);
      }
    } finally {
      clearTimeout(timer);
      // Nothing more of it is read; whether its sender hears of that is its own affair.
      reader.cancel().catch(() => undefined);
    }
  }
}

function tooLarge(bytes: number): KilnError {
  return new KilnError('input.too-large', `The body is larger than ${bytes} bytes.`, {
    next: 'No event that Kiln acts upon is that large.',
  });
}

function flooded(): KilnError {
  return new KilnError('server.flooded', 'More deliveries come in than are taken at once.', {
    next: 'Deliver it again in a moment.',
    retryable: true,
  });
}

function slow(): KilnError {
  return new KilnError('timeout', 'The body did not come in time.', {
    next: 'Deliver it again.',
    retryable: true,
  });
}
