import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byPathLength, covers, hostOf } from './match.ts';

describe('hostOf', () => {
  it.each([
    ['Shop.Example.COM', 'shop.example.com'],
    ['shop.example.com:7080', 'shop.example.com'],
    ['shop.example.com.', 'shop.example.com'],
    ['shop.example.com.:80', 'shop.example.com'],
    ['[::1]', '[::1]'],
    ['[::1]:8080', '[::1]'],
  ])('%s is %s', (header, host) => {
    expect(hostOf(header)).toBe(host);
  });
});

describe('covers', () => {
  it.each([
    ['/', '/', true],
    ['/', '/anything/else', true],
    ['/api', '/api', true],
    ['/api', '/api/v1', true],
    ['/api/', '/api', true],
    ['/api/', '/api/v1', true],
    ['/api', '/apix', false],
    ['/api', '/ap', false],
    ['/api', '/', false],
  ])('%s, %s: %s', (route, path, expected) => {
    expect(covers(route, path)).toBe(expected);
  });

  it('is the same as comparing whole segments', () => {
    const segments = fc.array(fc.constantFrom('a', 'b', 'ab'), { maxLength: 4 });
    fc.assert(
      fc.property(segments, segments, (route, path) => {
        const isPrefix = route.every((segment, index) => path[index] === segment);
        expect(covers(`/${route.join('/')}`, `/${path.join('/')}`)).toBe(isPrefix);
      }),
    );
  });
});

it('sorts the longest path first', () => {
  const routes = [{ path: '/' }, { path: '/api/v1' }, { path: '/api' }];
  expect(routes.toSorted(byPathLength).map((route) => route.path)).toEqual(['/api/v1', '/api', '/']);
});
