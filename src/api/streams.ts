/** The two streams the API answers with: server-sent events (as the HTML standard defines them) and JSON lines. */

import { errorOfProblem } from './failures.ts';

export interface ServerSentEvent {
  readonly id?: string;
  readonly event: string;
  /** Undefined when the block only carried an id. */
  readonly data?: string;
}

/** Lines of a body in UTF-8, ended by LF or CRLF; what follows the last line end is dropped, as it may be cut. */
async function* textLines(body: AsyncIterable<Uint8Array>): AsyncIterable<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of body) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line;
  }
}

export async function* readEvents(body: AsyncIterable<Uint8Array>): AsyncIterable<ServerSentEvent> {
  let id: string | undefined;
  let event = '';
  let data: string[] = [];
  for await (const line of textLines(body)) {
    if (line === '') {
      if (id !== undefined || data.length > 0) {
        if (event === 'problem') throw errorOfProblem(200, JSON.parse(data.join('\n')));
        yield {
          ...(id === undefined ? {} : { id }),
          event: event || 'message',
          ...(data.length === 0 ? {} : { data: data.join('\n') }),
        };
      }
      id = undefined;
      event = '';
      data = [];
      continue;
    }
    const colon = line.indexOf(':');
    if (colon === 0) continue; // a comment
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
    if (field === 'id') id = value;
    else if (field === 'event') event = value;
    else if (field === 'data') data.push(value);
  }
}

/** One JSON value a line; empty lines are heartbeats; a last line with a `problem` says why it ends. */
export async function* readLines(body: AsyncIterable<Uint8Array>): AsyncIterable<unknown> {
  for await (const line of textLines(body)) {
    if (line === '') continue;
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null && 'problem' in value)
      throw errorOfProblem(200, value.problem);
    yield value;
  }
}
