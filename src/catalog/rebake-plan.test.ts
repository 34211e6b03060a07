/** A world of channels and images in which everything that the plan says is done, in any order, with failures and crashes. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ChannelName,
  type ComponentName,
  channelName,
  componentName,
  type ImageId,
} from '../domain/ids.ts';
import type { RebakeOutcome } from '../domain/rebake.ts';
import {
  planRebakes,
  type RebakeStep,
  type RebakeSubject,
  type RebakeView,
  rebakeKey,
} from './rebake-plan.ts';

const GOLDEN = channelName('golden');

interface Made {
  readonly component: ComponentName;
  readonly base?: string;
  readonly parent?: ImageId;
}

/** Each component is baked from an earlier one, or from none; `failing` ones never bake. */
interface Wish {
  readonly bases: readonly (number | undefined)[];
  readonly failing: ReadonlySet<number>;
  readonly unfit: ReadonlySet<number>;
}

class World {
  readonly wish: Wish;
  readonly images = new Map<ImageId, Made>();
  readonly heads = new Map<string, ImageId>();
  readonly outcomes = new Map<string, RebakeOutcome>();
  readonly checked = new Set<ImageId>();
  readonly bakes: string[] = [];

  constructor(wish: Wish) {
    this.wish = wish;
    for (const [at, base] of wish.bases.entries()) this.bake(at, base);
  }

  bake(at: number, base: number | undefined): ImageId {
    const component = nameOf(at);
    const id = `image-${this.images.size}` as ImageId;
    const from = base === undefined ? undefined : `${nameOf(base)}@golden`;
    const parent = from === undefined ? undefined : this.heads.get(from);
    this.images.set(id, {
      component,
      ...(from === undefined ? {} : { base: from }),
      ...(parent === undefined ? {} : { parent }),
    });
    if (!this.heads.has(`${component}@golden`)) this.heads.set(`${component}@golden`, id);
    return id;
  }

  isOutdated(id: ImageId): boolean {
    const { base, parent } = this.images.get(id) ?? {};
    if (base === undefined || parent === undefined) return false;
    return this.heads.get(base) !== parent || this.isOutdated(parent);
  }

  componentsAbove(id: ImageId): ReadonlySet<ComponentName> {
    const { component, parent } = this.images.get(id) ?? {};
    const above = parent === undefined ? new Set<ComponentName>() : this.componentsAbove(parent);
    return new Set([...above, ...(component === undefined ? [] : [component])]);
  }

  view(): RebakeView {
    const subjects: RebakeSubject[] = [];
    const unmet = new Map<ChannelName, readonly string[]>([[GOLDEN, []]]);
    for (const [key, image] of this.heads) {
      const { component, base, parent } = this.images.get(image) ?? {};
      if (component === undefined || base === undefined || parent === undefined) continue;
      if (!this.isOutdated(image)) continue;
      const channels = key === `${component}@golden` ? [GOLDEN] : [];
      subjects.push({ image, component, base, parent, channels, here: true });
    }
    const made = new Map(
      [...this.images].map(([id, { component }]) => [
        id,
        this.wish.unfit.has(numberOf(component)) ? { unfit: 'its checks failed', unmet } : { unmet },
      ]),
    );
    const ancestry = new Map([...this.heads.values()].map((id) => [id, this.componentsAbove(id)]));
    return { subjects, heads: this.heads, outcomes: this.outcomes, made, ancestry };
  }

  /** False: there is nothing to do. `crash`: what was done is not noted. */
  act(pick: number, crash: boolean): boolean {
    const steps = [...planRebakes(this.view())].filter(([, { kind }]) =>
      ['bakes', 'checks', 'promotes'].includes(kind),
    );
    const chosen = steps[pick % Math.max(1, steps.length)];
    if (chosen === undefined) return false;
    this.#carryOut(...chosen, crash);
    return true;
  }

  #carryOut(image: ImageId, step: RebakeStep, crash: boolean): void {
    const of = this.images.get(image);
    if (of === undefined) throw new Error('the plan names an image that is not there');
    const at = numberOf(of.component);
    if (step.kind === 'bakes') {
      const key = rebakeKey(image, step.onto);
      if (this.wish.failing.has(at)) {
        this.outcomes.set(key, { kind: 'failed', code: 'build.failed', message: 'it did not compile' });
        return;
      }
      // As the bakery does: equal inputs are baked once.
      const there = [...this.images].find(
        ([id, one]) => id !== image && one.component === of.component && one.parent === step.onto,
      );
      const made = there?.[0] ?? this.bake(at, this.wish.bases[at]);
      if (there === undefined) this.bakes.push(`${of.component} on ${step.onto}`);
      if (!crash) this.outcomes.set(key, { kind: 'made', made, checked: false });
    } else if (step.kind === 'checks' && !crash) {
      this.outcomes.set(rebakeKey(image, step.onto), { kind: 'made', made: step.made, checked: true });
    } else if (step.kind === 'promotes' && !crash) {
      expect(this.heads.get(`${of.component}@golden`)).toBe(image);
      this.heads.set(`${of.component}@golden`, step.made);
    }
  }

  settle(random: readonly number[]): void {
    for (let turn = 0; turn < 500; turn += 1) {
      const number = random[turn % random.length] ?? 0;
      if (!this.act(number, number % 5 === 0 && turn < 100)) return;
    }
    throw new Error('it never comes to rest');
  }
}

function nameOf(at: number): ComponentName {
  return componentName(`c${at}`);
}

function numberOf(component: ComponentName): number {
  return Number(component.slice(1));
}

const forests = fc.integer({ min: 2, max: 8 }).chain((size) =>
  fc.record({
    bases: fc.tuple(
      ...Array.from({ length: size }, (_, at) =>
        at === 0 ? fc.constant(undefined) : fc.integer({ min: 0, max: at - 1 }),
      ),
    ),
    failing: fc.uniqueArray(fc.integer({ min: 1, max: size - 1 }), { maxLength: 2 }),
    unfit: fc.uniqueArray(fc.integer({ min: 1, max: size - 1 }), { maxLength: 1 }),
    moves: fc.array(fc.integer({ min: 0, max: size - 1 }), { minLength: 1, maxLength: 3 }),
    random: fc.array(fc.nat(1000), { minLength: 20, maxLength: 60 }),
  }),
);

describe('images that follow their bases', () => {
  test('come to rest, each baked once, parents first; a branch that fails holds up no other', () => {
    fc.assert(
      fc.property(forests, ({ bases, failing, unfit, moves, random }) => {
        const world = new World({ bases, failing: new Set(failing), unfit: new Set(unfit) });
        // People bake and promote several of them anew, before anybody follows.
        for (const at of moves) world.heads.set(`${nameOf(at)}@golden`, world.bake(at, bases[at]));
        world.settle(random);
        expect(new Set(world.bakes).size).toBe(world.bakes.length);
        const stuck = new Set([...failing, ...unfit]);
        for (const [at, base] of bases.entries()) {
          const held = world.heads.get(`${nameOf(at)}@golden`);
          if (held === undefined || base === undefined) continue;
          const isStuck = (one: number | undefined): boolean =>
            one !== undefined && (stuck.has(one) || isStuck(bases[one]));
          if (!isStuck(at)) expect(world.isOutdated(held)).toBe(false);
          // One that cannot itself follow still lets its children follow what it holds.
          else if (!stuck.has(at))
            expect(world.images.get(held)?.parent).toBe(world.heads.get(`${nameOf(base)}@golden`));
        }
        // No component was baked on an image that was replaced again in the same wave: once each.
        const perComponent = Map.groupBy(world.bakes, (bake) => bake.split(' ')[0]);
        for (const all of perComponent.values()) expect(all.length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 400 },
    );
  });

  test('a crash between any two acts repeats nothing that was baked', () => {
    const world = new World({ bases: [undefined, 0, 1], failing: new Set(), unfit: new Set() });
    world.heads.set('c0@golden', world.bake(0, undefined));
    for (let turn = 0; world.act(0, turn % 2 === 0); turn += 1) expect(turn).toBeLessThan(50);
    expect(world.bakes.map((bake) => bake.split(' ')[0])).toEqual(['c1', 'c2']);
  });

  test('is never a circle', () => {
    const world = new World({ bases: [undefined, 0], failing: new Set(), unfit: new Set() });
    // c0 is baked from c1 from now on, and c1 from c0.
    const round: World['images'] = world.images;
    const [zero, one] = [world.heads.get('c0@golden'), world.heads.get('c1@golden')];
    if (zero === undefined || one === undefined) throw new Error('both are there');
    const onOne = 'image-round' as ImageId;
    round.set(onOne, { component: nameOf(0), base: 'c1@golden', parent: one });
    world.heads.set('c0@golden', onOne);
    const view = world.view();
    const steps = planRebakes(view);
    expect(steps.get(one)).toMatchObject({ kind: 'failed', why: expect.stringContaining('would never end') });
    world.settle([1]);
    expect(world.bakes).toEqual([]);
  });
});
