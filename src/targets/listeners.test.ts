import { createServer } from 'node:net';
import { endianness } from 'node:os';
import { expect, test } from 'vitest';
import { parseListeners, readListeners } from './listeners.ts';
import { choosePort, ephemeralRange, isInstancePort } from './local/ports.ts';

const row = (address: string, state: string, inode: number) =>
  `   0: ${address} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0 100 0 0 10 0`;

test.runIf(endianness() === 'LE')('listeners are read with their address, port and socket', () => {
  const table = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    row('0100007F:5208', '0A', 11),
    row('00000000:0050', '0A', 12),
    row('0500000A:0050', '0A', 13),
    row('0100007F:1F90', '01', 14),
    row('00000000000000000000000000000000:1F90', '0A', 15),
    row('00000000000000000000000001000000:1F91', '0A', 16),
    row('0000000000000000FFFF00000100007F:1F92', '0A', 17),
  ].join('\n');
  expect(parseListeners(table)).toEqual([
    { port: 21000, host: '127.0.0.1', coversLoopback: true, inode: '11' },
    { port: 80, host: '0.0.0.0', coversLoopback: true, inode: '12' },
    { port: 80, host: '10.0.0.5', coversLoopback: false, inode: '13' },
    { port: 8080, host: '::', coversLoopback: true, inode: '15' },
    { port: 8081, host: '::1', coversLoopback: false, inode: '16' },
    { port: 8082, host: '127.0.0.1', coversLoopback: true, inode: '17' },
  ]);
});

test('a real listener is found while it listens, and its port is not given away', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('it listens on a port');
  expect(readListeners()).toContainEqual(expect.objectContaining({ port: address.port, host: '127.0.0.1' }));
  await new Promise((resolve) => server.close(resolve));
  expect(readListeners().some((listener) => listener.port === address.port)).toBe(false);
});

test('a listener on IPv6 is found too, where there is IPv6', async () => {
  const server = createServer();
  const listens = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)); // This machine has none: then there is nothing to find.
    server.listen(0, '::', () => resolve(true));
  });
  const address = server.address();
  const wanted = typeof address === 'object' ? address?.port : undefined;
  expect(readListeners().some(({ port, host }) => port === wanted && host === '::')).toBe(listens);
  server.close();
});

test('ports of instances are outside of the ephemeral range, and none is given twice', async () => {
  const given = new Set<number>();
  for (let count = 0; count < 20; count += 1) {
    const port = await choosePort(given);
    expect(isInstancePort(port, ephemeralRange())).toBe(true);
    expect(given.has(port)).toBe(false);
    given.add(port);
  }
  expect(isInstancePort(25_000, { first: 24_000, last: 26_000 })).toBe(false);
  expect(isInstancePort(25_000, { first: 32_768, last: 60_999 })).toBe(true);
});
