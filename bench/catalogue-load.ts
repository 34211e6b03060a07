/** A million images, written straight into the tables in the shape that the store itself writes: for benches only. */
import { DatabaseSync } from 'node:sqlite';
import { componentName, digest, type ImageId } from '../src/domain/ids.ts';
import { versionKey } from '../src/domain/version-order.ts';
import { type Bits, chunkOf, encodeBits, noBits, setBit } from '../src/store/catalogue/bits.ts';
import { edgeTerm, fieldTerm, type NewImage, termsOf } from '../src/store/catalogue/terms.ts';
import { encodeNumbers, placeOf } from '../src/store/catalogue/version-blocks.ts';
import { toJson } from '../src/store/json.ts';

const BLOCK = 512;
export const COMPONENTS = 500;
const BASES = 20;
const ENVIRONMENTS = ['dev', 'stage', 'live'];
const REGIONS = ['us-east-1', 'us-west-2', 'eu-west-1', 'eu-central-1'];
const DAY_MS = 24 * 3600 * 1000;
/** The newest image is of this time. */
export const NEWEST_MS = 1_760_000_000_000;

const spec = {
  processes: [],
  config: { required: [], values: {}, env: 'all' as const, files: [] },
  deploy: { strategy: 'rolling' as const, keepWarmMs: 0, timeoutMs: 1, batch: 1, steps: [], everyMs: 0 },
  routes: [],
  checks: [],
  target: 'local',
};

/** The first component has about a sixth of all images, the second a twelfth, and so on. */
function componentOf(n: number): string {
  const spread = ((n * 2654435761) >>> 0) / 2 ** 32;
  return `web-${Math.min(COMPONENTS - 1, Math.floor(COMPONENTS ** spread) - 1)}`;
}

/** The n-th image of so many. Even and odd ones have one tag each that no image has both of. */
export function sampleImage(n: number, count: number): NewImage {
  const component = componentName(componentOf(n));
  const isBase = n <= BASES;
  const hex = n.toString(16).padStart(64, '0');
  const region = REGIONS[n % REGIONS.length] ?? 'us-east-1';
  const arch = n % 3 === 0 ? 'arm64' : 'amd64';
  const base = isBase ? {} : { base: `${componentOf((n % BASES) + 1)}@golden` };
  return {
    id: `image-${hex.slice(-32)}` as ImageId,
    component,
    version: `${1 + Math.floor(n / 200_000)}.${Math.floor(n / 1000) % 200}.${n % 1000}`,
    inputKey: digest(`sha256:${hex}`),
    ...(isBase ? {} : { parent: `image-${((n % BASES) + 1).toString(16).padStart(32, '0')}` as ImageId }),
    tags: {
      component,
      [n % 2 === 0 ? 'even' : 'odd']: 'yes',
      env: ENVIRONMENTS[n % ENVIRONMENTS.length] ?? 'dev',
      // Only images of the first half have it: no newer version does.
      ...(n < count / 2 ? { era: 'old' } : { era: 'new' }),
      team: `team-${n % 40}`,
      'git.sha': hex.slice(-40),
      ...(n % 10_000 === 0 ? { expires: 'never' } : {}),
    },
    definition: {
      component,
      image: {
        kind: 'bundle',
        build: [],
        buildEnvironment: {},
        include: [],
        exclude: [],
        tests: [],
        ...base,
      },
      defaults: spec,
      environments: {},
    },
    artifacts: [
      { kind: 'bundle', provider: 'local', arch, digest: digest(`sha256:${hex}`), sizeBytes: 1 },
      { kind: 'machine', provider: 'amazon', region, arch, reference: `ami-${n}`, sizeBytes: 1 },
    ],
    createdAtMs: NEWEST_MS - Math.floor(((count - n) / count) * 400 * DAY_MS),
  };
}

/** @param file of a store that has been opened once and closed, so that its tables are there */
export function loadImages(file: string, count: number): void {
  const database = new DatabaseSync(file);
  database.exec('pragma synchronous = off; pragma journal_mode = memory; pragma cache_size = -400000; begin');
  const image = database.prepare(
    'insert into images (id, ordinal, component, version, input_key, body) values (?, ?, ?, ?, ?, ?)',
  );
  const artifact = database.prepare('insert into image_artifacts (digest, image_id) values (?, ?)');
  const index = database.prepare(
    `insert into image_index (number, image_id, component, place, parent, base, created_at_ms, used_at_ms, pinned)
     values (?, ?, ?, ?, ?, ?, ?, null, ?)`,
  );
  const posting = database.prepare('insert into image_postings (term, chunk, bits) values (?, ?, ?)');
  const places = new Map<string, string[]>();
  const edges = new Set<string>();
  let sets = new Map<string, Bits | number[]>();
  const flush = (chunk: number): void => {
    for (const [term, set] of sets) {
      let bits = set;
      if (Array.isArray(bits)) {
        bits = noBits();
        for (const number of set) setBit(bits, number, true);
      }
      posting.run(term, chunk, encodeBits(bits));
    }
    sets = new Map();
  };
  for (let n = 1; n <= count; n += 1) {
    const one = sampleImage(n, count);
    if (n > 1 && chunkOf(n) !== chunkOf(n - 1)) flush(chunkOf(n - 1));
    image.run(one.id, n, one.component, one.version, one.inputKey, toJson(one));
    artifact.run(one.inputKey, one.id);
    const place = placeOf(versionKey(one.version), n);
    const parent = one.parent === undefined ? null : (n % BASES) + 1;
    const base = one.definition.image.base ?? null;
    index.run(
      n,
      one.id,
      one.component,
      place,
      parent,
      base,
      one.createdAtMs,
      Number(one.tags.expires === 'never'),
    );
    const terms = [...termsOf(one)];
    if (parent !== null && base !== null) {
      terms.push(edgeTerm(parent, base));
      edges.add(`${parent} ${base}`);
    }
    for (const term of terms) add(sets, term, n);
    const inOrder = places.get(one.component) ?? [];
    inOrder.push(place);
    places.set(one.component, inOrder);
  }
  flush(chunkOf(count));
  writeRest(database, places, edges, count);
  database.exec('commit; analyze');
  database.close();
}

function add(sets: Map<string, Bits | number[]>, term: string, number: number): void {
  const set = sets.get(term);
  if (set === undefined) sets.set(term, [number]);
  else if (!Array.isArray(set)) setBit(set, number, true);
  else if (set.length < 1000) set.push(number);
  else {
    const bits = noBits();
    for (const one of [...set, number]) setBit(bits, one, true);
    sets.set(term, bits);
  }
}

function writeRest(
  database: DatabaseSync,
  places: ReadonlyMap<string, readonly string[]>,
  edges: ReadonlySet<string>,
  count: number,
): void {
  const block = database.prepare(
    'insert into version_blocks (component, first_place, numbers) values (?, ?, ?)',
  );
  const move = database.prepare(
    `insert into channel_moves (ordinal, component, channel, image_id, previous, moved_by, why, at_ms)
     values (?, ?, 'golden', ?, null, 'bench', 'bench', 0)`,
  );
  const head = database.prepare("insert into channel_heads values (?, 'golden', ?)");
  const posting = database.prepare(
    'insert into image_postings (term, chunk, bits) values (?, ?, ?) on conflict (term, chunk) do update set bits = excluded.bits',
  );
  const golden = new Map<number, Bits>();
  let ordinal = count;
  for (const [component, all] of places) {
    const sorted = all.toSorted((a, b) => (a < b ? -1 : 1));
    const numbers = sorted.map((place) => Number(place.slice(place.indexOf('\t') + 1)));
    for (let from = 0; from < numbers.length; from += BLOCK) {
      block.run(
        component,
        from === 0 ? '' : (sorted[from] ?? ''),
        encodeNumbers(numbers.slice(from, from + BLOCK)),
      );
    }
    const held = numbers.at(-1) ?? 1;
    ordinal += 1;
    move.run(ordinal, component, sampleImage(held, count).id);
    head.run(component, sampleImage(held, count).id);
    const bits = golden.get(chunkOf(held)) ?? noBits();
    setBit(bits, held, true);
    golden.set(chunkOf(held), bits);
  }
  for (const [chunk, bits] of golden) posting.run(fieldTerm('channel', 'golden'), chunk, encodeBits(bits));
  const edge = database.prepare('insert into image_edges (parent, base, outdated) values (?, ?, 0)');
  for (const one of edges) {
    const [parent, base] = one.split(' ');
    edge.run(Number(parent), base ?? '');
  }
  database.prepare('update state set revision = ?').run(ordinal);
}
