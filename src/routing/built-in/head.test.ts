import { describe, expect, it } from 'vitest';
import { BadHead } from './head-text.ts';
import { isSafeToRepeat, readRequestHead, upstreamRequestText } from './request-head.ts';
import { clientResponseText, readResponseHead } from './response-head.ts';

const client = { address: '192.0.2.7', listenPort: 7080 };
const request = (line: string, ...headers: string[]) =>
  readRequestHead([line, ...headers].map((each) => `${each}\r\n`).join(''));
const refused = (line: string, ...headers: string[]) => {
  try {
    request(line, ...headers);
  } catch (thrown) {
    if (thrown instanceof BadHead) return thrown.status;
    throw thrown;
  }
  return undefined;
};

describe('a request head', () => {
  it('goes to the upstream without what belongs to this hop, and with who asked', () => {
    const head = request(
      'GET /a?b=c HTTP/1.1',
      'Host: shop.example:80',
      'Connection: keep-alive, X-Hop',
      'Keep-Alive: 5',
      'X-Hop: mine',
      'TE: trailers',
      'Proxy-Authorization: secret',
      'X-Forwarded-For: 203.0.113.1',
      'X-Forwarded-Proto: https',
      'X-Kiln-Probe: word',
      'Accept: */*',
    );
    expect([head.path, head.target, head.host, head.probe, head.keepAlive]).toEqual([
      '/a',
      '/a?b=c',
      'shop.example:80',
      'word',
      true,
    ]);
    expect(upstreamRequestText(head, client).split('\r\n')).toEqual([
      'GET /a?b=c HTTP/1.1',
      'Host: shop.example:80',
      'Accept: */*',
      'X-Forwarded-For: 203.0.113.1, 192.0.2.7',
      'X-Forwarded-Host: shop.example:80',
      'X-Forwarded-Proto: http',
      'X-Forwarded-Port: 7080',
      '',
      '',
    ]);
  });

  it('never loses an end-to-end header that Connection names', () => {
    const head = request('GET / HTTP/1.1', 'Host: a', 'Connection: authorization', 'Authorization: Bearer x');
    expect(head.lines).toContain('Authorization: Bearer x');
  });

  it('in absolute form becomes origin form', () => {
    expect(request('GET http://shop.example/a?b HTTP/1.1', 'Host: shop.example').target).toBe('/a?b');
    expect(request('GET http://shop.example HTTP/1.1', 'Host: shop.example').target).toBe('/');
    expect(request('GET http://shop.example?b HTTP/1.1', 'Host: shop.example').target).toBe('/?b');
    expect(refused('GET http://shop.example/ HTTP/1.1', 'Host: other.example')).toBe(400);
  });

  it('keeps the connection as its version and Connection say', () => {
    expect(request('GET / HTTP/1.1', 'Host: a').keepAlive).toBe(true);
    expect(request('GET / HTTP/1.1', 'Host: a', 'Connection: close').keepAlive).toBe(false);
    expect(request('GET / HTTP/1.0', 'Host: a').keepAlive).toBe(false);
    expect(request('GET / HTTP/1.0', 'Host: a', 'Connection: keep-alive').keepAlive).toBe(true);
  });

  it('upgrades to WebSocket, never to h2c, never with a body', () => {
    const asks = ['Host: a', 'Connection: Upgrade'];
    expect(request('GET / HTTP/1.1', ...asks, 'Upgrade: websocket').upgrade).toBe('websocket');
    expect(request('GET / HTTP/1.1', 'Host: a', 'Upgrade: websocket').upgrade).toBeUndefined();
    expect(request('GET / HTTP/1.1', ...asks, 'Upgrade: h2c', 'HTTP2-Settings: x').upgrade).toBeUndefined();
    expect(
      request('POST / HTTP/1.1', ...asks, 'Upgrade: websocket', 'Content-Length: 1').upgrade,
    ).toBeUndefined();
  });

  it('is safe to repeat only without a body and an effect', () => {
    expect(isSafeToRepeat(request('GET / HTTP/1.1', 'Host: a'))).toBe(true);
    expect(isSafeToRepeat(request('GET / HTTP/1.1', 'Host: a', 'Content-Length: 0'))).toBe(true);
    expect(isSafeToRepeat(request('GET / HTTP/1.1', 'Host: a', 'Content-Length: 1'))).toBe(false);
    expect(isSafeToRepeat(request('DELETE / HTTP/1.1', 'Host: a'))).toBe(false);
  });

  it.each<[number, string, string[]]>([
    [400, 'GET / HTTP/1.1', []],
    [400, 'GET / HTTP/1.1', ['Host: a', 'Host: a']],
    [400, 'GET / HTTP/1.1', ['Host: a b']],
    [400, 'GET  / HTTP/1.1', ['Host: a']],
    [400, 'GET /a b HTTP/1.1', ['Host: a']],
    [400, 'GET /\u00e9 HTTP/1.1', ['Host: a']],
    [400, 'GET a HTTP/1.1', ['Host: a']],
    [400, 'G(T / HTTP/1.1', ['Host: a']],
    [400, 'GET / HTTP/1.10', ['Host: a']],
    [505, 'PRI * HTTP/2.0', []],
    [405, 'CONNECT a:443 HTTP/1.1', ['Host: a:443']],
    [400, 'POST / HTTP/1.1', ['Host: a', 'Content-Length: 5', 'Content-Length: 5']],
    [400, 'POST / HTTP/1.1', ['Host: a', 'Content-Length: 5, 5']],
    [400, 'POST / HTTP/1.1', ['Host: a', 'Content-Length: +5']],
    [400, 'POST / HTTP/1.1', ['Host: a', 'Content-Length: 0x5']],
    [400, 'POST / HTTP/1.1', ['Host: a', 'Content-Length: ']],
    [400, 'POST / HTTP/1.1', ['Host: a', 'Content-Length: 9999999999999999']],
    [400, 'POST / HTTP/1.1', ['Host: a', 'Content-Length: 5', 'Transfer-Encoding: chunked']],
    [501, 'POST / HTTP/1.1', ['Host: a', 'Transfer-Encoding: gzip, chunked']],
    [501, 'POST / HTTP/1.1', ['Host: a', 'Transfer-Encoding: identity']],
    [501, 'POST / HTTP/1.1', ['Host: a', 'Transfer-Encoding: \x0bchunked'.replace('\x0b', 'x')]],
    [400, 'POST / HTTP/1.1', ['Host: a', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']],
    [400, 'POST / HTTP/1.0', ['Host: a', 'Transfer-Encoding: chunked']],
    [400, 'GET / HTTP/1.1', ['Host: a', ' folded: x']],
    [400, 'GET / HTTP/1.1', ['Host: a', 'X-Space : x']],
    [400, 'GET / HTTP/1.1', ['Host: a', 'no colon']],
    [400, 'GET / HTTP/1.1', ['Host: a', ': no name']],
    [400, 'GET / HTTP/1.1', ['Host: a', 'X: a\0b']],
    [400, 'GET / HTTP/1.1', ['Host: a', 'X: a\nY: b']],
    [400, 'GET / HTTP/1.1', ['Host: a', 'X: a\rY: b']],
    [417, 'POST / HTTP/1.1', ['Host: a', 'Expect: cake']],
    [431, 'GET / HTTP/1.1', ['Host: a', ...Array.from({ length: 200 }, (_, n) => `X-${n}: 1`)]],
  ])('is refused with %d: %s %j', (status, line, headers) => {
    expect(refused(line, ...headers)).toBe(status);
  });
});

describe('a response head', () => {
  const response = (method: string, line: string, ...headers: string[]) =>
    readResponseHead([line, ...headers].map((each) => `${each}\r\n`).join(''), method);

  it('goes to the client without the upstream’s hop', () => {
    const head = response(
      'GET',
      'HTTP/1.1 200 OK',
      'Content-Length: 5',
      'Connection: close, X-Hop',
      'Keep-Alive: timeout=5',
      'X-Hop: 1',
      'X-Kiln-Instance: impostor',
      'X-Kept: yes',
    );
    expect([head.keepAlive, head.keepAliveTimeoutMs]).toEqual([false, 5_000]);
    expect(
      clientResponseText(head, { minorVersion: 1, keepAlive: true, instance: 'i1' }).split('\r\n'),
    ).toEqual(['HTTP/1.1 200 OK', 'Content-Length: 5', 'X-Kept: yes', 'X-Kiln-Instance: i1', '', '']);
  });

  it.each([
    ['GET', 'HTTP/1.1 200 OK', ['Content-Length: 5'], 'length'],
    ['GET', 'HTTP/1.1 200 OK', ['Transfer-Encoding: chunked'], 'chunked'],
    ['GET', 'HTTP/1.1 200 OK', [], 'until-close'],
    ['HEAD', 'HTTP/1.1 200 OK', ['Content-Length: 5'], 'none'],
    ['GET', 'HTTP/1.1 204 No Content', [], 'none'],
    ['GET', 'HTTP/1.1 304 Not Modified', ['Content-Length: 5'], 'none'],
    ['GET', 'HTTP/1.1 103 Early Hints', [], 'none'],
  ])('%s %s %j has a body of kind %s', (method, line, headers, kind) => {
    expect(response(method, line, ...headers).body.kind).toBe(kind);
  });

  it.each([
    ['HTTP/1.1 200 OK', ['Content-Length: 5', 'Transfer-Encoding: chunked']],
    ['HTTP/1.1 200 OK', ['Content-Length: 5', 'Content-Length: 6']],
    ['HTTP/1.1 200 OK', ['Transfer-Encoding: gzip']],
    ['HTTP/2 200', []],
    ['HTTP/1.1 OK', []],
    ['HTTP/1.1 200 OK', ['bad header : x']],
  ])('is refused: %s %j', (line, headers) => {
    expect(() => response('GET', line, ...headers)).toThrow(BadHead);
  });
});
