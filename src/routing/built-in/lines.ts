/** Cuts a stream of bytes into lines of JSON. */
import type { Socket } from 'node:net';
import { MAX_LINE_BYTES } from './protocol.ts';

/** Calls `onLine` with each parsed line; a line that is no JSON, or endless, ends the connection. */
export function readJsonLines(socket: Socket, onLine: (value: unknown) => void): void {
  let pieces: Buffer[] = [];
  let sizeBytes = 0;
  socket.on('data', (chunk: Buffer) => {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at !== -1; at = chunk.indexOf(0x0a, from)) {
      pieces.push(chunk.subarray(from, at));
      from = at + 1;
      const line = Buffer.concat(pieces).toString('utf8');
      pieces = [];
      sizeBytes = 0;
      const value = parse(line);
      if (value === undefined) {
        socket.destroy(new Error('a line is not JSON'));
        return;
      }
      onLine(value);
    }
    if (from < chunk.length) pieces.push(chunk.subarray(from));
    sizeBytes += chunk.length - from;
    if (sizeBytes > MAX_LINE_BYTES) socket.destroy(new Error('a line is too long'));
  });
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // told to the other side by ending the connection
  }
}
