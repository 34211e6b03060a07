import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pipelineFaults } from '../../../test/pipeline/pipeline-faults.ts';
import { isObject, type Json, type JsonObject } from '../asl/json.ts';
import { RESOURCES } from '../task-registry.ts';
import { readPipeline } from './pipeline-file.ts';

const faultsOf = (text: string) => pipelineFaults(text, RESOURCES);

function task(resource: string, given: object): string {
  return JSON.stringify({
    StartAt: 'T',
    States: { T: { Type: 'Task', Resource: resource, ...given, End: true } },
  });
}

describe('arguments that a task would refuse', () => {
  it('are told when the file is read: all at once, each in its place, with what was meant', async () => {
    const faults = await faultsOf(`StartAt: Test
States:
  Test:
    Type: Task
    Resource: cmd
    Parameters:
      comands: [npm test]
      environment: {PORT: 8080, HOST.$: $.host, 1ST: x}
      timeoutSecond.$: $.seconds
      services: {db: {image: postgres, timeoutSeconds: soon}}
      limits: {memoryMb: 1}
    Next: Both
  Both:
    Type: Parallel
    Branches:
      - StartAt: Move
        States:
          Move: {Type: Task, Resource: promote, Parameters: {image.$: $.id, channel: live/uk}, End: true}
    Next: Ask
  Ask:
    Type: Task
    QueryLanguage: JSONata
    Resource: approve
    Arguments: {role: admn, message: "{% $states.input.message %}"}
    Next: Look
  Look: {Type: Task, Resource: check, Parameters: {image.$: $.id, environment: live/uk}, End: true}
`);
    const told = faults.map(
      ({ location, message, didYouMean = '' }) =>
        `${location?.line}:${location?.column} ${message} ${didYouMean}`,
    );
    expect(told).toEqual([
      '6:5 "commands" is missing: cmd needs it ',
      '7:7 cmd takes no "comands" commands',
      '8:27 not what cmd takes here "8080"',
      '8:49 "1ST" cannot be a name here ',
      '9:7 cmd takes no "timeoutSecond" timeoutSeconds',
      '10:56 not what cmd takes here ',
      '11:26 not what cmd takes here ',
      '18:86 not what promote takes here ',
      '24:23 not what approve takes here admin',
      '26:67 check takes no "environment" ',
    ]);
    expect(faults[5]).toMatchObject({ found: '"soon"', expected: 'seconds' });
    expect(faults[6]).toMatchObject({ found: '1', expected: 'at least 16' });
  });

  it.each([
    ['all that is filled in', 'bake', { QueryLanguage: 'JSONata', Arguments: '{% $states.input %}' }],
    ['the input of the state', 'bake', {}],
    ['one of two names', 'docker.build', { Parameters: { 'sourceLocation.$': '$.x' } }],
    [
      'a list with one that is filled in',
      'cmd',
      { QueryLanguage: 'JSONata', Arguments: { commands: ['a', '{% b %}'] } },
    ],
    [
      'maps of them',
      'cmd',
      { Parameters: { commands: 'a', 'environment.$': '$.e', artifacts: { 'dist.$': '$.d' } } },
    ],
    ['either kind of check', 'check', { Parameters: { 'component.$': '$.c', environment: 'live/uk' } }],
    [
      'parameters of Microtica',
      'microtica.actions.cmd',
      { Parameters: { commands: ['a'], sourceLocation: '$.x' } },
    ],
  ])('are none in %s', async (_, resource, given) => {
    expect(await faultsOf(task(resource, given))).toEqual([]);
  });

  it.each([
    ['nothing of what it needs', 'bake', { Parameters: {} }, 'Parameters.directory'],
    ['neither of two names', 'docker.build', { Parameters: { version: '1' } }, 'Parameters.directory'],
    ['a text', 'bake', { QueryLanguage: 'JSONata', Arguments: 'here' }, 'Arguments'],
    [
      'what it takes elsewhere',
      'snapshot',
      { Parameters: { components: [{ 'name.$': '$.x' }] } },
      'Parameters.components[0]',
    ],
    [
      'names of prototypes',
      'cmd',
      { Parameters: { commands: 'a', constructor: 1 } },
      'Parameters.constructor',
    ],
  ])('are told of %s', async (_, resource, given, path) => {
    expect((await faultsOf(task(resource, given))).map((fault) => fault.path)).toEqual([`States.T.${path}`]);
  });
});

/** Of each task what it takes, to be changed at random. */
const TAKEN: Readonly<Record<string, JsonObject>> = {
  approve: { message: 'go?', environment: 'live/uk', role: 'admin', deadlineSeconds: 60, default: 'approve' },
  bake: { directory: '/shop', version: '1.2' },
  check: { component: 'shop', environment: 'live/uk' },
  cmd: {
    commands: ['npm ci', 'npm test'],
    source: '/shop',
    environment: { NODE_ENV: 'test' },
    secrets: { TOKEN: 'token' },
    cache: { key: 'npm', files: ['package.json'], paths: ['node_modules'] },
    services: { db: { image: 'postgres', health: 'pg_isready' } },
    limits: { memoryMb: 64 },
    artifacts: { dist: 'dist' },
    runsOn: ['linux'],
    timeoutSeconds: 60,
  },
  deploy: { component: 'shop', environment: 'live/uk', image: 'image-1' },
  'docker.build': { directory: '/shop', version: '1' },
  'docker.push': { image: 'image-1', to: 'registry.example.com/shop' },
  http: {
    url: 'https://example.com/',
    method: 'POST',
    headers: { a: 'b' },
    body: { any: 1 },
    timeoutSeconds: 5,
  },
  notify: { webhook: 'https://example.com/', message: 'done', details: [1] },
  pipeline: { directory: '/other', parameters: { level: 'live' }, wait: false },
  promote: { image: 'image-1', channel: 'proven' },
  rollback: { component: 'shop', environment: 'live/uk', to: 3 },
  scan: { image: 'image-1' },
  snapshot: { channel: 'proven', components: ['shop'], environment: 'live/uk' },
};

/** Somewhere in it a value is another one, is gone, or has a sibling. */
function changed(value: JsonObject): fc.Arbitrary<JsonObject> {
  if (Object.keys(value).length === 0) return fc.constant(value);
  const key = fc.constantFrom(...Object.keys(value));
  const other = fc.oneof(
    fc.constantFrom<Json>('x', '', 'a/b', '/a', 7, 0, true, null, [], {}, ['x']),
    // Neither what is filled in nor a name that no file may hold.
    fc.jsonValue().filter((one) => !/\.\$|__proto__/.test(JSON.stringify(one))),
  );
  const without = (name: string) => Object.fromEntries(Object.entries(value).filter(([one]) => one !== name));
  return fc.oneof(
    fc.constant(value),
    key.map(without),
    fc
      .tuple(
        key,
        other.map((one): Json => JSON.parse(JSON.stringify(one))),
      )
      .map(([name, one]) => ({ ...value, [name]: one })),
    fc.constantFrom('imag', 'other', 'toString').map((name) => ({ ...value, [name]: 1 })),
    key.chain((name) => {
      const inner = value[name];
      return isObject(inner) && Object.keys(inner).length > 0
        ? changed(inner).map((one) => ({ ...value, [name]: one }))
        : fc.constant(value);
    }),
  );
}

/** With one of its values, at any depth, filled in. */
function filledIn(value: JsonObject): fc.Arbitrary<JsonObject> {
  return fc.constantFrom(...Object.keys(value)).chain((name) => {
    const { [name]: inner, ...rest } = value;
    const here = fc.constant<JsonObject>({ ...rest, [`${name}.$`]: '$.x' });
    if (!isObject(inner) || Object.keys(inner).length === 0) return here;
    return fc.oneof(
      here,
      filledIn(inner).map((one) => ({ ...value, [name]: one })),
    );
  });
}

describe.each(Object.entries(TAKEN))('literal arguments of %s', (name, taken) => {
  const takes = RESOURCES.find((resource) => resource.name === name)?.takes;
  const isTaken = (given: Json) => takes?.safeParse(given).success === true;
  const arbitrary = changed(taken).chain(changed);

  it('are refused when the file is read if and only if they are when the task is asked for', async () => {
    expect(isTaken(taken)).toBe(true);
    await fc.assert(
      fc.asyncProperty(arbitrary, async (given) => {
        expect((await faultsOf(task(name, { Parameters: given }))).length === 0).toBe(isTaken(given));
      }),
      { numRuns: 60 },
    );
  });

  it('are taken whatever of them is filled in', async () => {
    const some = arbitrary.filter((given) => isTaken(given) && Object.keys(given).length > 0).chain(filledIn);
    await fc.assert(
      fc.asyncProperty(some, async (given) => {
        expect(await faultsOf(task(name, { Parameters: given }))).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });
});

it('every task is among those', () => {
  const usable = RESOURCES.filter(({ notYet }) => notYet === undefined).map(({ name }) => name);
  expect(Object.keys(TAKEN)).toEqual(usable);
});

it('what the kiln.yaml of the folder says nothing of is a warning, in its place', async () => {
  const text = `StartAt: Move
States:
  Move: {Type: Task, Resource: promote, Parameters: {image.$: $.id, channel: live}, Next: Here}
  Here: {Type: Task, Resource: deploy, Parameters: {component: shop, environment: stage/uc}, Next: There}
  There: {Type: Task, Resource: deploy, Parameters: {component: library, environment: live/us}, Next: Near}
  Near: {Type: Task, Resource: deploy, QueryLanguage: JSONata, Arguments: {component: shoq, environment: '{% $e %}'}, Next: Me}
  Me: {Type: Task, Resource: deploy, Parameters: {component.$: $.component, environment: live/uk}, End: true}
`;
  const folder = { component: 'shop', environments: ['stage/uk', 'live/uk'] };
  const { warnings } = await readPipeline(text, 'pipeline.yaml', { resources: RESOURCES, folder });
  const told = warnings.map(({ location, found, didYouMean }) => [
    location?.line,
    location?.column,
    found,
    didYouMean,
  ]);
  expect(told).toEqual([
    [3, 78, 'live', undefined],
    [4, 83, 'stage/uc', 'stage/uk'],
    [6, 87, 'shoq', 'shop'],
  ]);
  expect((await readPipeline(text, 'pipeline.yaml', { resources: RESOURCES })).warnings).toEqual([]);
});
