import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { staysInside } from './links.ts';

const base = realpathSync(mkdtempSync(path.join(tmpdir(), 'kiln-links-')));
afterAll(() => rmSync(base, { recursive: true }));

const segment = fc.constantFrom('a', 'b', 'l0', 'l1', 'l2', '..', '.');
const target = fc.array(segment, { minLength: 1, maxLength: 6 }).map((segments) => segments.join('/'));

describe('staysInside', () => {
  it('agrees with the kernel: what it lets through never resolves to the outside', () => {
    let world = 0;
    fc.assert(
      fc.property(fc.tuple(target, target, target), (targets) => {
        world += 1;
        const outer = path.join(base, `w${world}`);
        const root = path.join(outer, 'x/y/root');
        for (const folder of ['a/b', 'b/a']) mkdirSync(path.join(root, folder), { recursive: true });
        // The same names outside, so that a way out leads somewhere.
        for (const folder of ['x/y/a/b', 'x/a/b', 'a/b'])
          mkdirSync(path.join(outer, folder), { recursive: true });
        const links = new Map(targets.map((text, index) => [index === 0 ? 'l0' : `a/l${index}`, text]));
        const inside = [...links].every(([link, text]) => staysInside(link, text, links));
        for (const [link, text] of links) symlinkSync(text, path.join(root, link));
        if (!inside) return;
        for (const link of links.keys()) {
          const real = resolved(path.join(root, link));
          expect(real === undefined || real === root || real.startsWith(`${root}/`)).toBe(true);
        }
      }),
      { numRuns: 400 },
    );
  });

  it('refuses ways out, lets ways round through', () => {
    const none = new Map<string, string>();
    expect(staysInside('a/link', '../b', none)).toBe(true);
    expect(staysInside('a/link', '../../b', none)).toBe(false);
    expect(staysInside('link', '/etc', none)).toBe(false);
    expect(staysInside('link', 'dangling/../x', none)).toBe(true);
    expect(staysInside('link', 'here/../x', new Map([['here', '.']]))).toBe(false);
    expect(staysInside('loop', 'loop', new Map([['loop', 'loop']]))).toBe(true);
  });
});

/** Undefined: dangling, or a loop. */
function resolved(link: string): string | undefined {
  try {
    return realpathSync(link);
  } catch {
    return undefined;
  }
}
