import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Package } from '../sbom/package-url.ts';
import { parseAdvisory } from './advisory.ts';
import { cvss3Score } from './cvss.ts';
import { AdvisoryIndex, isAffected } from './match.ts';

function advisory(more: object, id = 'GHSA-1') {
  const parsed = parseAdvisory(JSON.stringify({ id, modified: '2024-01-01T00:00:00Z', ...more }));
  if (parsed === undefined) throw new Error('an advisory of a test is one');
  return parsed;
}

function findings(packages: readonly Package[], ...advisories: ReturnType<typeof advisory>[]) {
  const index = new AdvisoryIndex();
  for (const one of advisories) index.add(one);
  return index.match(packages);
}

const npm = (name: string, version: string): Package => ({ ecosystem: 'npm', name, version, foundIn: 'x' });

function affects(ecosystem: string, name: string, ...events: object[]) {
  const type = ecosystem === 'npm' ? 'SEMVER' : 'ECOSYSTEM';
  return { affected: [{ package: { ecosystem, name }, ranges: [{ type, events }] }] };
}

describe('an advisory is about', () => {
  it('what is within its ranges: introduced, fixed, and introduced again', () => {
    const [affected] = advisory(
      affects(
        'npm',
        'a',
        { fixed: '1.2.0' },
        { introduced: '0' },
        { introduced: '2.0.0' },
        { fixed: '2.1.0' },
      ),
    ).affected;
    const hit = ['0.1.0', '1.1.9', '1.2.0-rc.1', '2.0.0', '2.0.5'];
    const missed = ['1.2.0', '1.9.9', '2.0.0-rc.1', '2.1.0', '3.0.0'];
    expect(hit.filter((version) => affected && !isAffected(affected, version))).toEqual([]);
    expect(missed.filter((version) => affected && isAffected(affected, version))).toEqual([]);
  });

  it('the last affected version, and what it lists', () => {
    const [affected] = advisory(
      affects('npm', 'a', { introduced: '1.0.0' }, { last_affected: '1.5.0' }),
    ).affected;
    expect(['1.0.0', '1.5.0', '1.5.1', '0.9.0'].map((v) => affected && isAffected(affected, v))).toEqual([
      true,
      true,
      false,
      false,
    ]);
    const listed = { affected: [{ package: { ecosystem: 'Packagist', name: 'a/b' }, versions: ['6.4.1'] }] };
    const composer = { ecosystem: 'composer', name: 'a/b', version: '6.4.1', foundIn: 'x' } as const;
    expect(findings([composer], advisory(listed))).toMatchObject([{ where: 'pkg:composer/a/b@6.4.1' }]);
  });

  it('nothing once it is withdrawn, and never a package of another ecosystem or name', () => {
    const about = affects('npm', 'a', { introduced: '0' });
    expect(findings([npm('a', '1.0.0')], advisory(about))).toHaveLength(1);
    expect(findings([npm('a', '1.0.0')], advisory({ ...about, withdrawn: '2024-01-02T00:00:00Z' }))).toEqual(
      [],
    );
    expect(findings([npm('b', '1.0.0')], advisory(about))).toEqual([]);
    const python = { ecosystem: 'pypi', name: 'a', version: '1.0.0', foundIn: 'x' } as const;
    expect(findings([python], advisory(about))).toEqual([]);
  });

  it('Debian packages by their source, in their own release, by Debian’s order', () => {
    const libssl: Package = {
      ecosystem: 'deb',
      name: 'libssl3',
      version: '3.0.11-1~deb12u2',
      source: { name: 'openssl', version: '3.0.11-1~deb12u2' },
      distribution: 'debian-12',
      foundIn: 'var/lib/dpkg/status',
    };
    const fixed = (release: string, version: string) =>
      advisory(affects(`Debian:${release}`, 'openssl', { introduced: '0' }, { fixed: version }), 'DSA-1');
    expect(findings([libssl], fixed('12', '3.0.13-1~deb12u1'))).toMatchObject([
      { id: 'DSA-1', fixedIn: '3.0.13-1~deb12u1', where: expect.stringContaining('libssl3') },
    ]);
    expect(findings([libssl], fixed('12', '3.0.11-1~deb12u2'))).toEqual([]);
    expect(findings([libssl], fixed('12', '3.0.11-1'))).toHaveLength(1);
    expect(findings([libssl], fixed('11', '3.0.13-1'))).toEqual([]);
  });

  it('Python packages whatever way their name is written', () => {
    const about = advisory(affects('PyPI', 'Flask.Login', { introduced: '0' }, { fixed: '0.6.3' }));
    const flask = (version: string): Package => ({
      ecosystem: 'pypi',
      name: 'flask_login',
      version,
      foundIn: 'x',
    });
    expect(findings([flask('0.6.3rc1')], about)).toHaveLength(1);
    expect(findings([flask('0.6.3')], about)).toEqual([]);
  });

  it('every version from `introduced` to before `fixed`, for any of them', () => {
    const version = fc.tuple(fc.nat(9), fc.nat(9), fc.nat(9));
    const key = ([a, b, c]: readonly number[]): number => ((a ?? 0) * 100 + (b ?? 0)) * 100 + (c ?? 0);
    fc.assert(
      fc.property(version, version, version, (from, to, one) => {
        const text = (parts: readonly number[]): string => parts.join('.');
        const [affected] = advisory(
          affects('npm', 'a', { introduced: text(from) }, { fixed: text(to) }),
        ).affected;
        fc.pre(key(from) < key(to));
        const expected = key(one) >= key(from) && key(one) < key(to);
        expect(affected && isAffected(affected, text(one))).toBe(expected);
      }),
    );
  });
});

describe('how bad it is', () => {
  it('is what the database says, else what CVSS gives', () => {
    const about = affects('npm', 'a', { introduced: '0' });
    const severity = (more: object) =>
      findings([npm('a', '1.0.0')], advisory({ ...about, ...more }))[0]?.severity;
    const vector = [{ type: 'CVSS_V3', score: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H' }];
    expect(severity({ severity: vector })).toBe('critical');
    expect(severity({ severity: vector, database_specific: { severity: 'MODERATE' } })).toBe('medium');
    expect(severity({})).toBe('unknown');
  });

  it('by the examples of the specification', () => {
    // https://www.first.org/cvss/v3-1/examples
    const examples: Readonly<Record<string, number>> = {
      'CVSS:3.0/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N': 6.4,
      'CVSS:3.0/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N': 3.1,
      'CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H': 7.8,
      'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N': 7.5,
      'CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N': 6.1,
      'CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N': 0,
      'CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H': 9.9,
    };
    for (const [vector, score] of Object.entries(examples)) expect(cvss3Score(vector), vector).toBe(score);
    expect(cvss3Score('CVSS:4.0/AV:N')).toBeUndefined();
    expect(cvss3Score('CVSS:3.1/AV:X')).toBeUndefined();
  });
});
