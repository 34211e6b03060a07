/** What a build of BuildKit tells of itself (buildkit, api/services/control: StatusResponse), as lines for people. */
import { fields } from './protobuf.ts';

const RESPONSE = { vertex: 1, log: 3 } as const;
const VERTEX = { digest: 1, name: 3, cached: 4, started: 5 } as const;
const LOG = { vertex: 1, message: 4 } as const;
/** Housekeeping that people do not ask about. */
const INTERNAL = /^\[internal\]|^(?:exporting|writing image|naming to)\b/;

/** Steps are told once, when they begin; what they write comes in whole lines, each step's own. */
export class BuildTrace {
  readonly #begun = new Set<string>();
  readonly #rest = new Map<string, Buffer>();

  /** @param status one message, as it stands in the engine's stream */
  *lines(status: Buffer): Generator<string> {
    for (const { number, value } of fields(status)) {
      if (typeof value === 'number') continue;
      if (number === RESPONSE.vertex) yield* this.#step(value);
      else if (number === RESPONSE.log) yield* this.#output(value);
    }
  }

  /** What came without the end of its line. */
  *rest(): Generator<string> {
    for (const bytes of this.#rest.values()) if (bytes.length > 0) yield bytes.toString();
    this.#rest.clear();
  }

  *#step(vertex: Buffer): Generator<string> {
    let [digest, name, cached, started] = ['', '', false, false];
    for (const { number, value } of fields(vertex)) {
      if (number === VERTEX.digest) digest = String(value);
      else if (number === VERTEX.name) name = String(value);
      else if (number === VERTEX.cached) cached = value === 1;
      else if (number === VERTEX.started) started = true;
    }
    if (!started || this.#begun.has(digest)) return;
    this.#begun.add(digest);
    if (!INTERNAL.test(name)) yield cached ? `${name} (cached)` : name;
  }

  *#output(log: Buffer): Generator<string> {
    let vertex = '';
    let message: Buffer = Buffer.alloc(0);
    for (const { number, value } of fields(log)) {
      if (typeof value === 'number') continue;
      if (number === LOG.vertex) vertex = value.toString();
      else if (number === LOG.message) message = value;
    }
    const bytes = Buffer.concat([this.#rest.get(vertex) ?? Buffer.alloc(0), message]);
    const end = bytes.lastIndexOf('\n') + 1;
    this.#rest.set(vertex, bytes.subarray(end));
    for (const line of bytes.toString('utf8', 0, end).split('\n')) {
      if (line.trim() !== '') yield line.trimEnd();
    }
  }
}
