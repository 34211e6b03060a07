import { describe, expect, it } from 'vitest';
import { type CheckAddress, parseHost } from './address.ts';
import { commandLine, shownUrl } from './curl.ts';
import { parseCheckFile } from './parse.ts';
import { buildRequest } from './request.ts';

const HOST: CheckAddress = { kind: 'host', host: 'example.com' };

function parsed(fields: Record<string, unknown>) {
  const [test] = parseCheckFile(JSON.stringify({ tests: [{ name: 't', uri: '/p', ...fields }] }), 'f');
  if (test === undefined) throw new Error('There is no test.');
  return test;
}

function request(fields: Record<string, unknown>, address = HOST) {
  const built = buildRequest(parsed(fields), address);
  return { ...built, url: built.url.href, body: built.body?.toString(), headers: new Map(built.headers) };
}

describe('a request', () => {
  it.each([
    [{ data: 'raw text' }, 'raw text', undefined],
    [{ data: { a: 1, b: ['x', 'y z'] } }, 'a=1&b=x&b=y+z', 'application/x-www-form-urlencoded'],
    [{ json: { a: [1] } }, '{"a":[1]}', 'application/json'],
    [
      { data: { a: { b: 1 } }, headers: { 'Content-Type': 'Application/JSON' } },
      '{"a":{"b":1}}',
      'Application/JSON',
    ],
    [{ json: { a: 1 }, headers: { 'content-type': 'application/x.v1+json' } }, '{"a":1}', undefined],
  ])('with %j sends %s', (inputs, body, type) => {
    const built = request({ method: 'post', inputs });
    expect(built.method).toBe('POST');
    expect(built.body).toBe(body);
    expect(built.headers.get('Content-Type')).toBe(type);
  });

  it('carries auth, cookies and parameters', () => {
    const built = request({
      inputs: { auth: ['u', 'p'], cookies: { a: 1, b: 'x' }, params: { q: 'a b', r: [1, 2] } },
    });
    expect(built.url).toBe('http://example.com/p?q=a+b&r=1&r=2');
    expect(built.headers.get('Authorization')).toBe('Basic dTpw');
    expect(built.headers.get('Cookie')).toBe('a=1; b=x');
  });

  it('uploads files', () => {
    const built = request({
      method: 'post',
      inputs: { data: { k: 'v' }, files: { up: ['a".txt', 'Lorem', 'text/plain'], other: 'Ipsum' } },
    });
    const boundary = /^multipart\/form-data; boundary=(kiln-\w+)$/.exec(
      built.headers.get('Content-Type') ?? '',
    )?.[1];
    expect(built.body).toBe(
      `--${boundary}\r\nContent-Disposition: form-data; name="k"\r\n\r\nv\r\n` +
        `--${boundary}\r\nContent-Disposition: form-data; name="up"; filename="a%22.txt"\r\nContent-Type: text/plain\r\n\r\nLorem\r\n` +
        `--${boundary}\r\nContent-Disposition: form-data; name="other"; filename="other"\r\nContent-Type: application/octet-stream\r\n\r\nIpsum\r\n` +
        `--${boundary}--\r\n`,
    );
  });
});

describe('an address', () => {
  it.each([
    ['h', {}, 'http://h/p'],
    ['h:8080', {}, 'http://h:8080/p'],
    ['h:8080', { port: 81 }, 'http://h:81/p'],
    ['https://h', {}, 'https://h/p'],
    ['https://h:8443/', { protocol: 'http' }, 'http://h:8443/p'],
    ['h', { protocol: 'https' }, 'https://h/p'],
    ['::1', { port: 81 }, 'http://[::1]:81/p'],
    ['[::1]:8080', {}, 'http://[::1]:8080/p'],
  ])('%s with %j is %s', (host, fields, url) => {
    expect(request(fields, parseHost(host)).url).toBe(url);
  });

  it.each(['', 'a b', 'http://', 'ftp://h', 'h:0', 'h:99999', 'http://u:secret@h', 'h/path', 'h?x'])(
    'refuses %j',
    (host) => {
      expect(() => parseHost(host)).toThrow(/is not a host to check/);
      expect(() => parseHost(host)).not.toThrow(/secret/);
    },
  );

  it('of an endpoint replaces what the test names, and tells of the TLS that ended before', () => {
    const endpoint = { host: '127.0.0.1', port: 5 };
    const built = request({ protocol: 'https', port: 443 }, { kind: 'endpoint', endpoint });
    expect(built.url).toBe('http://127.0.0.1:5/p');
    expect(built.headers.get('X-Forwarded-Proto')).toBe('https');
  });

  it('of a router asks for a host that it routes', () => {
    const address: CheckAddress = {
      kind: 'endpoint',
      endpoint: { host: '127.0.0.1', port: 5 },
      routeHosts: ['www.example', 'api.example'],
    };
    expect(request({}, address).headers.get('Host')).toBe('www.example');
    const other = request({ inputs: { headers: { host: 'elsewhere' } } }, address).headers;
    expect([other.get('Host'), other.get('host')]).toEqual(['www.example', undefined]);
    expect(request({ inputs: { headers: { Host: 'API.example' } } }, address).headers.get('Host')).toBe(
      'API.example',
    );
  });
});

describe('the command line', () => {
  const line = (fields: Record<string, unknown>) => commandLine(parsed(fields), HOST);

  it('can be pasted, whatever the texts hold', () => {
    expect(
      line({
        method: 'post',
        inputs: { headers: { 'X-A': 'a"b $HOME `id` \\' }, json: { q: "it's" }, verify: false },
      }),
    ).toBe(
      `curl  -v -s -o /dev/null -H "X-A: a\\"b \\$HOME \\\`id\\\` \\\\" -H "Content-Type: application/json" --data-raw '{"q":"it'\\''s"}' -X POST "http://example.com:80/p"`,
    );
  });

  it('is an ldapsearch that asks for the password', () => {
    const inputs = { bind_dn: 'cn=admin', bind_pw: 's3cret', dn: 'dc=x', attr_key: 'o' };
    const found = line({ protocol: 'ldap', uri: '', inputs, outcomes: { ldap_attribute_value_equals: 'v' } });
    expect(found).toBe('ldapsearch -LLL -D "cn=admin" -W -H ldap://example.com:389 -x -s base -b "dc=x" o');
  });

  it('shows no secret of any input', () => {
    const secret = 'hunter2/+"&';
    const shown = [
      { headers: { Authorization: `Bearer ${secret}`, 'X-Api-Key': secret, Cookie: `sid=${secret}` } },
      { auth: ['user', secret] },
      { username: 'user', password: secret },
      { cookies: { sid: secret } },
      { params: { access_token: secret } },
      { data: { password: secret } },
      { json: { login: { password: secret, tokens: [secret] } } },
      { files: { f: 'x' }, data: { client_secret: secret } },
    ].map((inputs) => line({ method: 'post', inputs }));
    for (const text of shown) {
      expect(text).toContain('***');
      expect(text).not.toMatch(/hunter2/);
      expect(text).not.toContain(Buffer.from(`user:${secret}`).toString('base64'));
    }
  });

  it('shows no secret in the address', () => {
    const test = parsed({ uri: '/p?api_key=hunter2&x=1' });
    expect(shownUrl(test, HOST)).toBe('http://example.com:80/p?api_key=***&x=1');
    expect(commandLine(test, HOST)).not.toContain('hunter2');
  });
});
