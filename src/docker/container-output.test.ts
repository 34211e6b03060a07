import { Readable } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { outputLines } from './container-output.ts';

function frame(stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

async function linesOf(chunks: readonly Buffer[]): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const line of outputLines(Readable.from(chunks))) found.push(line);
  return found;
}

/** Cuts bytes into pieces at these places, as a network does. */
function cut(bytes: Buffer, places: readonly number[]): readonly Buffer[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

const text = fc.stringMatching(/^[a-zäß€ ]{0,20}$/);

test('lines come out whole, however they were framed and sent', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(text, { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat(400), { maxLength: 6 }),
      fc.array(fc.nat(400), { maxLength: 6 }),
      async (lines, framing, sending) => {
        const written = Buffer.from(`${lines.join('\n')}\n`);
        const frames = cut(written, framing).map((piece) => frame(1, piece));
        expect(await linesOf(cut(Buffer.concat(frames), sending))).toEqual(lines);
      },
    ),
    { numRuns: 200 },
  );
});

test('the two streams do not run into each other, and a last line without its end is given', async () => {
  const frames = [
    frame(1, Buffer.from('out ')),
    frame(2, Buffer.from('err\n')),
    frame(1, Buffer.from('put')),
  ];
  expect(await linesOf(frames)).toEqual(['err', 'out put']);
});
