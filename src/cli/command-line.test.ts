/** The small parts of the command line that decide something. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, describe, expect, test } from 'vitest';
import { KilnError } from '../domain/errors.ts';
import { sizeText } from '../domain/size-text.ts';
import { checkSubject } from './check-subject.ts';
import { readServerFile, serverAddress, stateDirectory } from './environment.ts';
import { showFailure } from './failure.ts';
import { componentOrImage } from './names.ts';
import { Progress } from './progress.ts';
import { openTerminal } from './terminal.ts';
import { agoText, durationText } from './time.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'kiln-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('what `kiln check` is asked to check', () => {
  test.each([
    [['http://localhost:8080', 'a.yaml'], { kind: 'host', host: 'http://localhost:8080', file: 'a.yaml' }],
    [['localhost:8080'], { kind: 'host', host: 'localhost:8080', file: undefined }],
    [['localhost', '-'], { kind: 'host', host: 'localhost', file: '-' }],
    [['shop:8080', 'a.yaml'], { kind: 'host', host: 'shop:8080', file: 'a.yaml' }],
    [['www.example.com', 'a.yaml'], { kind: 'host', host: 'www.example.com', file: 'a.yaml' }],
    [['10.0.0.1', 'a.yaml'], { kind: 'host', host: '10.0.0.1', file: 'a.yaml' }],
    [['[::1]:80', 'a.yaml'], { kind: 'host', host: '[::1]:80', file: 'a.yaml' }],
    [['storefront', 'stage/local'], { kind: 'service', component: 'storefront', environment: 'stage/local' }],
    [['storefront@1.2.0'], { kind: 'image', image: 'storefront@1.2.0' }],
    [['storefront:proven'], { kind: 'image', image: 'storefront:proven' }],
    [['image-0123'], { kind: 'image', image: 'image-0123' }],
  ])('%j', ([what = '', more], expected) => {
    expect(checkSubject(what, more)).toEqual(expected);
  });

  test('is refused when it is none of them', () => {
    expect(() => checkSubject('storefront', 'smoke.yaml')).toThrow(
      /neither a host with a file nor a component/,
    );
  });
});

test('a component may be said as an image of it', () => {
  expect(componentOrImage('shop')).toEqual({ component: 'shop' });
  expect(componentOrImage('shop@1.0')).toEqual({ component: 'shop', image: 'shop@1.0' });
  expect(componentOrImage('shop:proven')).toEqual({ component: 'shop', image: 'shop:proven' });
});

describe('the server’s address', () => {
  const write = (name: string, text: string) => writeFileSync(path.join(folder, name), text);

  test('is KILN_URL, else what the state directory says, else the default', () => {
    expect(serverAddress({}, folder)).toEqual({ url: 'http://127.0.0.1:7070' });
    for (const [listen, url] of [
      ['127.0.0.1:7171', 'http://127.0.0.1:7171'],
      ['0.0.0.0:7171', 'http://127.0.0.1:7171'],
      [':7171', 'http://127.0.0.1:7171'],
      ['[::]:7171', 'http://[::1]:7171'],
      ['127.0.0.1:0', 'http://127.0.0.1:7070'],
    ]) {
      expect(serverAddress({ KILN_LISTEN: listen }, folder)).toEqual({ url });
    }
    write('server.json', JSON.stringify({ url: 'http://127.0.0.1:9', pid: 1, version: '1', startedAtMs: 1 }));
    write('token', 'secret\n');
    expect(serverAddress({}, folder)).toEqual({ url: 'http://127.0.0.1:9', token: 'secret' });
    expect(serverAddress({ KILN_LISTEN: '127.0.0.1:7171' }, folder).url).toBe('http://127.0.0.1:9');
    expect(serverAddress({ KILN_URL: 'http://localhost:8/' }, folder)).toEqual({
      url: 'http://localhost:8',
      token: 'secret',
    });
    expect(serverAddress({ KILN_TOKEN: 'mine' }, folder).token).toBe('mine');
  });

  test('of another machine never gets this machine’s token', () => {
    expect(serverAddress({ KILN_URL: 'https://kiln.example.com' }, folder).token).toBeUndefined();
  });

  test('must be an address', () => {
    for (const url of ['nonsense', 'ftp://x', 'file:///etc'])
      expect(() => serverAddress({ KILN_URL: url }, folder), url).toThrow(KilnError);
  });

  test('a server.json that was cut short is as good as absent', () => {
    write('server.json', '{"url": "http');
    expect(readServerFile(folder)).toBeUndefined();
  });

  test('the state directory is the flag, then KILN_STATE, then ~/.kiln', () => {
    expect(stateDirectory({ HOME: '/home/x' })).toBe('/home/x/.kiln');
    expect(stateDirectory({ HOME: '/home/x', KILN_STATE: '/s' })).toBe('/s');
    expect(stateDirectory({ KILN_STATE: '/s' }, '/flag')).toBe('/flag');
  });
});

function capture(isTTY: boolean, env: Readonly<Record<string, string>> = {}) {
  const written: string[] = [];
  const output = { isTTY, columns: 40, write: (text: string) => written.push(text) > 0 };
  return { terminal: openTerminal(output, output, env), written };
}

describe('output', () => {
  test('is plain lines where nobody watches', () => {
    const { terminal, written } = capture(false);
    const progress = new Progress(terminal, false, () => 0);
    progress.begin('baking');
    progress.update('packing');
    progress.update('packing');
    progress.end('done', 'baked');
    expect(written.join('')).toBe('… baking\n  packing\n✓ baked\n');
  });

  test('is one redrawn line on a terminal, never wider than it, and leaves nothing behind', () => {
    const { terminal, written } = capture(true);
    let now = 0;
    const progress = new Progress(terminal, false, () => now);
    progress.begin('x'.repeat(200));
    now = 1500;
    progress.close();
    expect(written.every((text) => text.startsWith('\r\u001b[2K'))).toBe(true);
    expect(written.at(-1)).toBe('\r\u001b[2K');
    const shown = stripVTControlCharacters(written[0] ?? '').replace('\r', '');
    expect(shown.length).toBeLessThanOrEqual(40);
  });

  test('has no colours with NO_COLOR, none in a pipe, and nothing at all of progress with --json', () => {
    expect(capture(true, { NO_COLOR: '1' }).terminal.colors.isColorSupported).toBe(false);
    expect(capture(false).terminal.colors.isColorSupported).toBe(false);
    expect(capture(true).terminal.colors.isColorSupported).toBe(true);
    const { terminal, written } = capture(true);
    const progress = new Progress(terminal, true, () => 0);
    progress.begin('x');
    progress.end('done', 'y');
    expect(written).toEqual([]);
  });

  test('of a failure is the sentence, the code, faults in their lines, and the next step', async () => {
    const file = path.join(folder, 'kiln.yaml');
    writeFileSync(file, 'component: shop\nservise: 1\n');
    const { terminal, written } = capture(false);
    const fault = {
      path: 'servise',
      message: 'unknown key',
      didYouMean: 'service',
      location: { file, line: 2, column: 1 },
    };
    const error = new KilnError('component-file.invalid', 'It has a mistake.', {
      next: 'Correct it.',
      faults: [fault],
    });
    await showFailure(error, terminal, false);
    const text = written.join('');
    expect(text).toContain('✗ It has a mistake. [component-file.invalid]');
    expect(text).toContain(`${file}:2:1`);
    expect(text).toContain('2 | servise: 1');
    expect(text).toContain('did you mean "service"?');
    expect(text).toContain('→ Correct it.');
  });
});

test('durations, ages and sizes read well', () => {
  expect([12, 1500, 61_000, 3_700_000, 400_000_000].map(durationText)).toEqual([
    '12 ms',
    '1.5 s',
    '1 min 1 s',
    '1 h 1 min',
    '4 days',
  ]);
  expect(agoText(0, 90_000)).toBe('1 min ago');
  expect([0, 999, 1000, 34_800, 4e8].map(sizeText)).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '34.8 kB',
    '400.0 MB',
  ]);
});
