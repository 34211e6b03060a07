import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BuildTrace } from './build-trace.ts';
import { bytesField, bytesOf, fields, numberField } from './protobuf.ts';

test('fields come out as they were put in, and a message that is cut off is refused', () => {
  const field = fc.record({
    number: fc.integer({ min: 1, max: 1000 }),
    value: fc.oneof(
      fc.maxSafeNat(),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    ),
  });
  fc.assert(
    fc.property(fc.array(field, { maxLength: 6 }), fc.nat(), (wanted, cut) => {
      const parts = wanted.map(({ number, value }) =>
        typeof value === 'number' ? numberField(number, value) : bytesField(number, value),
      );
      const message = Buffer.concat(parts);
      expect([...fields(message)]).toEqual(wanted);
      // Between two fields a shorter message is as good.
      const ends = parts.map((_, index) => Buffer.concat(parts.slice(0, index + 1)).length);
      const at = cut % (message.length + 1);
      if (at > 0 && !ends.includes(at)) expect(() => [...fields(message.subarray(0, at))]).toThrow('cut off');
    }),
  );
});

test('fields of fixed width are passed over; what is left out is empty', () => {
  const fixed = Buffer.from([(7 << 3) | 5, 1, 2, 3, 4, (8 << 3) | 1, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(bytesOf(Buffer.concat([fixed, bytesField(2, 'found')]), 2).toString()).toBe('found');
  expect(bytesOf(fixed, 2)).toHaveLength(0);
});

test('steps are told once, output in whole lines, each step’s own', () => {
  const vertex = (digest: string, name: string, cached = false) =>
    bytesField(
      1,
      Buffer.concat([
        bytesField(1, digest),
        bytesField(3, name),
        ...(cached ? [numberField(4, 1)] : []),
        bytesField(5, ''),
      ]),
    );
  const log = (digest: string, text: string) =>
    bytesField(3, Buffer.concat([bytesField(1, digest), numberField(3, 1), bytesField(4, text)]));
  const trace = new BuildTrace();
  const told = [
    vertex('a', '[internal] load build definition'),
    vertex('b', '[1/2] RUN one'),
    Buffer.concat([log('b', 'half '), vertex('c', '[2/2] RUN two', true)]),
    Buffer.concat([log('c', 'other\r\n\n'), log('b', 'line\nrest'), vertex('b', '[1/2] RUN one')]),
  ].flatMap((status) => [...trace.lines(status)]);
  expect([...told, ...trace.rest()]).toEqual([
    '[1/2] RUN one',
    '[2/2] RUN two (cached)',
    'other',
    'half line',
    'rest',
  ]);
});
