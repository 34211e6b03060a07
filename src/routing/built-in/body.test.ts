import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BodyReader, ChunkedBody, LengthBody } from './body.ts';
import { BadHead } from './head-text.ts';

/** Feeds the bytes in pieces of these sizes; says what was body, what was data, and what was left. */
function feed(body: BodyReader, bytes: Buffer, sizes: readonly number[]): { taken: number; data: string } {
  let taken = 0;
  let data = '';
  let turn = 0;
  while (taken < bytes.length && !body.isDone) {
    const piece = bytes.subarray(taken, taken + (sizes[turn++ % sizes.length] ?? 1));
    const to = body.take(piece, 0, (a, b) => {
      data += piece.toString('latin1', a, b);
    });
    taken += to;
    if (to < piece.length) break;
  }
  return { taken, data };
}

const pieces = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });

describe('ChunkedBody', () => {
  it('ends exactly where the message ends, however it is cut up', () => {
    const chunk = fc
      .string({ minLength: 1, maxLength: 40 })
      .map((text) => Buffer.from(text, 'utf8').toString('latin1'));
    const extension = fc.constantFrom('', ';a', ';a=b', ';a="b c"');
    const trailers = fc.constantFrom('', 'X-A: 1\r\n', 'X-A: 1\r\nX-B: 2\r\n');
    fc.assert(
      fc.property(
        fc.array(fc.tuple(chunk, extension)),
        trailers,
        pieces,
        fc.string(),
        (chunks, trailer, sizes, next) => {
          const message = `${chunks.map(([text, ext]) => `${text.length.toString(16)}${ext}\r\n${text}\r\n`).join('')}0\r\n${trailer}\r\n`;
          const body = new ChunkedBody();
          const { taken, data } = feed(body, Buffer.from(message + next, 'latin1'), sizes);
          expect(body.isDone).toBe(true);
          expect(taken).toBe(message.length);
          expect(data).toBe(chunks.map(([text]) => text).join(''));
        },
      ),
    );
  });

  it.each([
    'x\r\n',
    '\r\n',
    '0x5\r\nhello\r\n',
    ' 5\r\nhello\r\n',
    '5 \r\nhello\r\n',
    '-5\r\n',
    '5\nhello\r\n',
    '5\rxhello',
    '5\r\nhelloo\r\n',
    '5\r\nhello\n',
    '5;\n\r\nhello\r\n',
    'fffffffffffff\r\n',
    `5;${'x'.repeat(2_000)}\r\n`,
    '0\r\nContent-Length: 5\r\n\r\n',
    '0\r\nTransfer-Encoding: chunked\r\n\r\n',
    '0\r\nX-Forwarded-For: 1\r\n\r\n',
    '0\r\nX A: 1\r\n\r\n',
    '0\r\nX-A: 1\n\r\n',
    `0\r\nX-A: ${'x'.repeat(10_000)}\r\n\r\n`,
  ])('refuses %j', (text) => {
    for (const sizes of [[1], [3], [100_000]]) {
      expect(() => feed(new ChunkedBody(), Buffer.from(text, 'latin1'), sizes)).toThrow(BadHead);
    }
  });

  it('reads random bytes without ever failing in another way', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), pieces, (bytes, sizes) => {
        try {
          feed(new ChunkedBody(), Buffer.from(bytes), sizes);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(BadHead);
        }
      }),
    );
  });
});

describe('LengthBody', () => {
  it('takes exactly its bytes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 0, max: 50 }),
        pieces,
        (size, more, sizes) => {
          const body = new LengthBody(size);
          expect(feed(body, Buffer.alloc(size + more), sizes).taken).toBe(size);
          expect(body.isDone).toBe(true);
        },
      ),
    );
  });
});
