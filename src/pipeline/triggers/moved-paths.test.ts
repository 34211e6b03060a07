import { expect, it } from 'vitest';
import { leadsInto, movedPaths } from './moved-paths.ts';

const FROM = '/a/checkouts/exec-1';
const TO = '/b/checkouts/exec-1';

it('moves whole paths into the folder, at any depth, and nothing that only looks like them', () => {
  const given = {
    source: `${FROM}/shop`,
    more: [{ directory: FROM }, 1, null],
    other: '/a/checkouts/exec-10/shop',
    commands: [`cd ${FROM}/shop`],
    [FROM]: true,
  };
  expect(movedPaths(given, FROM, TO)).toEqual({
    ...given,
    source: `${TO}/shop`,
    more: [{ directory: TO }, 1, null],
  });
  expect(leadsInto(given, FROM)).toBe(true);
  expect(leadsInto({ ...given, source: '', more: [] }, FROM)).toBe(false);
});
