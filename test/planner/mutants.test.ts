/**
 * The planner's tests, tested: each fault below is seeded into a copy of the planner's source, and the same
 * properties must then fail. A fault whose text is no longer found in the source fails its test too.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Step } from '../../src/deploy/planner/steps.ts';
import type { World } from '../../src/deploy/planner/world.ts';
import { beginningArbitrary, scriptArbitrary, shapeArbitrary } from './arbitraries.ts';
import { travel } from './journey.ts';
import { beginning } from './worlds.ts';

interface Mutant {
  readonly fault: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

const MUTANTS: readonly Mutant[] = [
  {
    fault: 'it skips the drain of a group',
    file: 'groups.ts',
    find: 'if (staying.length > 0) {',
    replace: 'if (staying.length > 1000) {',
  },
  {
    fault: 'it does not wait for a drain to end',
    file: 'groups.ts',
    find: 'if (held.length === 0)',
    replace: 'if (held.length >= 0)',
  },
  {
    fault: 'rolling stops instances before they are drained',
    file: 'rolling.ts',
    find: 'isLetGo(one.view)',
    replace: 'isLetGo(one.view) || true',
  },
  {
    fault: 'blue-green shifts early',
    file: 'forward.ts',
    find: 'if (wait !== undefined) return wait;',
    replace: '',
  },
  {
    fault: 'rolling shifts early',
    file: 'rolling.ts',
    find: 'waitForReady(world, grown, reached) ??',
    replace: '',
  },
  {
    fault: 'rolling forgets the minimum',
    file: 'rolling.ts',
    find: 'shrink(world, process, old, size - reached)',
    replace: 'shrink(world, process, old, 0)',
  },
  {
    fault: 'it calls deployed what nobody saw answer',
    file: 'forward.ts',
    find: 'if (routed && decisions.verifiedAtMs === undefined)',
    replace: 'if (false)',
  },
  {
    fault: 'it goes forward after it was abandoned',
    file: 'plan.ts',
    find: 'deployment.decisions.abandoned === undefined',
    replace: 'deployment !== undefined',
  },
  {
    fault: 'it goes back to what is not healthy',
    file: 'back.ts',
    find: '|| !canTakeOver(world, before)',
    replace: '',
  },
  {
    fault: 'it goes back without restoring the size',
    file: 'back.ts',
    find: 'if (grow !== undefined) return grow;',
    replace: '',
  },
  {
    fault: 'it removes an abandoned group that still has traffic',
    file: 'back.ts',
    find: '(world.service.weights[group.name] ?? 0) === 0',
    replace: 'group !== undefined',
  },
  {
    fault: 'it forgets the deadline',
    file: 'forward.ts',
    find: 'world.nowMs >= decisions.deadlineMs',
    replace: 'world.nowMs < 0',
  },
  {
    fault: 'it is patient with one that never gets healthy beside those that are',
    file: 'forward.ts',
    find: 'if (late !== undefined) return `',
    replace: 'if (late !== undefined && readyCount(world, group) === 0) return `',
  },
  {
    fault: 'it lets instances end again and again until the deadline',
    file: 'forward.ts',
    find: "group.health.kind === 'backing-off' && hadItsTime",
    replace: 'false && hadItsTime',
  },
  {
    fault: 'it leaves replaced groups behind',
    file: 'keep.ts',
    find: 'return firstAct(others.map(',
    replace: 'return firstAct([].map(',
  },
  {
    fault: 'two instances hold one volume',
    file: 'forward.ts',
    find: 'makeRoom(world, release) ??',
    replace: '',
  },
  {
    fault: 'it does not tell the routers after losing its memory',
    file: 'plan.ts',
    find: 'if (!world.routing.inForce)',
    replace: 'if (false)',
  },
];

const source = path.resolve(import.meta.dirname, '../../src');
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kiln-mutants-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function mutate(mutant: Mutant, index: number): Promise<(world: World) => Step> {
  const copy = path.join(folder, String(index));
  await cp(path.join(source, 'deploy/planner'), path.join(copy, 'deploy/planner'), { recursive: true });
  await cp(path.join(source, 'domain'), path.join(copy, 'domain'), { recursive: true });
  const file = path.join(copy, 'deploy/planner', mutant.file);
  const text = await readFile(file, 'utf8');
  expect(text.split(mutant.find), `the text of the fault stands once in ${mutant.file}`).toHaveLength(2);
  await writeFile(file, text.replace(mutant.find, mutant.replace));
  const mutated: { plan: (world: World) => Step } = await import(
    pathToFileURL(path.join(copy, 'deploy/planner/plan.ts')).href
  );
  return mutated.plan;
}

describe('a planner with a seeded fault is caught', () => {
  it.each(MUTANTS.map((mutant, index) => ({ ...mutant, index })))('$fault', async (mutant) => {
    const plan = await mutate(mutant, mutant.index);
    const result = fc.check(
      fc.property(shapeArbitrary, beginningArbitrary, scriptArbitrary, (shape, kind, script) => {
        expect(travel(plan, beginning(shape, kind), script).violations).toEqual([]);
      }),
      // Most are caught within a hundred; the rarest within a few thousand.
      { numRuns: 50_000, endOnFailure: true },
    );
    expect(result.failed).toBe(true);
  });
});
