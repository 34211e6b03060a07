import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type Fault, KilnError } from '../domain/errors.ts';
import { environmentName } from '../domain/ids.ts';
import { formatFaults } from './format-faults.ts';
import { parseComponent } from './parse.ts';
import { resolveEnvironment } from './resolve-environment.ts';

function faultsOf(text: string): readonly Fault[] {
  try {
    parseComponent(text, 'kiln.yaml');
  } catch (error) {
    if (error instanceof KilnError && error.code === 'component-file.invalid') return error.faults;
    throw error;
  }
  return [];
}

/** `line:column path: message` and the suggestion, one line a fault. */
function brief(text: string): readonly string[] {
  return faultsOf(text).map(({ location, path, message, didYouMean }) => {
    const meant = didYouMean === undefined ? '' : ` (${didYouMean}?)`;
    return `${location?.line}:${location?.column} ${path}: ${message}${meant}`;
  });
}

const HEAD = 'component: shop\nimage: {run: ./shop}\n';
const SHOP = `${HEAD}service: {}\n`;

describe('defaults', () => {
  const { defaults, image, version } = parseComponent(SHOP, 'kiln.yaml');

  test('of image and process', () => {
    expect(version).toBeUndefined();
    expect(image).toEqual({
      kind: 'bundle',
      build: [],
      buildEnvironment: {},
      include: [],
      exclude: [],
      tests: [],
    });
    expect(defaults.processes).toEqual([
      {
        name: 'web',
        run: './shop',
        listens: true,
        port: 8080,
        health: { path: '/', intervalMs: 2000, timeoutMs: 2000, startupMs: 60_000 },
        standard: false,
        instances: { min: 1, desired: 1, max: 1 },
        stop: { signals: ['SIGTERM', 'SIGINT', 'SIGKILL'], graceMs: 30_000 },
        volumes: [],
      },
    ]);
  });

  test('of config, deploy and target', () => {
    expect(defaults.config).toEqual({ required: [], values: {}, env: 'all', files: [] });
    expect(defaults.deploy).toEqual({
      strategy: 'blue-green',
      keepWarmMs: 600_000,
      timeoutMs: 300_000,
      batch: 1,
      steps: [],
      everyMs: 300_000,
    });
    expect(defaults.target).toBe('local');
  });

  test('a service with the standard endpoints is asked whether it is good to go', () => {
    const { defaults: standard } = parseComponent(`${HEAD}service: {standard: true}`, 'kiln.yaml');
    expect(standard.processes[0]?.health?.path).toBe('/service/healthcheck/gtg');
  });

  test('of build steps: one command, or several, each with a limit', () => {
    const build = (text: string) =>
      parseComponent(`${SHOP}x-: 1\n`.replace('run: ./shop', `run: ./shop, build: ${text}`), 'kiln.yaml')
        .image.build;
    expect(build('make')).toEqual([{ run: 'make', timeoutMs: 1_800_000 }]);
    expect(build('[a, {run: b, inputs: [x], outputs: [y], timeout: 1m30s}]')).toEqual([
      { run: 'a', timeoutMs: 1_800_000 },
      { run: 'b', inputs: ['x'], outputs: ['y'], timeoutMs: 90_000 },
    ]);
  });

  test('instances: a number is all three bounds, a map fills in what it leaves out', () => {
    const bounds = (text: string) =>
      parseComponent(`${HEAD}service: {instances: ${text}}`, 'kiln.yaml').defaults.processes[0]?.instances;
    expect(bounds('3')).toEqual({ min: 3, desired: 3, max: 3 });
    expect(bounds('{min: 2, max: 6}')).toEqual({ min: 2, desired: 2, max: 6 });
    expect(bounds('{desired: 4}')).toEqual({ min: 4, desired: 4, max: 4 });
  });
});

describe('environments', () => {
  const definition = parseComponent(
    `${HEAD}service: {instances: {min: 2, desired: 3, max: 6}, health: {path: /up, timeout: 1s}}
processes: {worker: {run: ./work}}
migrate: ./migrate
config: {required: [a], values: {a: 1, b: 1.10, c: yes}}
deploy: {keepWarm: 1m}
environments:
  stage/uk: {instances: 1, config: {required: [d], values: {b: two}}, migrate: false}
  live/uk: {service: {health: {timeout: 5s}, instances: {desired: 4}}, deploy: {strategy: canary, steps: [5%, 12.5%]}}
  live/eu: {channel: none}
  demo/uk: {channel: golden, target: docker, routes: [{host: demo.example.com, path: /shop/}]}
`,
    'kiln.yaml',
  );
  const at = (name: string) => resolveEnvironment(definition, environmentName(name));

  test('maps merge by key, the rest is replaced', () => {
    expect(at('stage/uk').processes.map(({ instances }) => instances.desired)).toEqual([1, 1]);
    expect(at('stage/uk').config).toMatchObject({
      required: ['a', 'd'],
      values: { a: '1', b: 'two', c: 'yes' },
    });
    expect(at('stage/uk').migrate).toBeUndefined();
    expect(at('live/uk').migrate).toBe('./migrate');
    const web = at('live/uk').processes[0];
    expect(web?.instances).toEqual({ min: 2, desired: 4, max: 6 });
    expect(web?.health).toMatchObject({ path: '/up', timeoutMs: 5000 });
    expect(at('live/uk').deploy).toMatchObject({ strategy: 'canary', steps: [5, 12.5], keepWarmMs: 60_000 });
    expect(at('demo/uk').target).toBe('docker');
    expect(at('demo/uk').routes).toEqual([{ host: 'demo.example.com', path: '/shop', process: 'web' }]);
  });

  test('numbers among the values stay as they were written', () => {
    expect(definition.defaults.config.values).toEqual({ a: '1', b: '1.10', c: 'yes' });
  });

  test('live is protected by proven, named or not, unless said otherwise', () => {
    const channels = ['stage/uk', 'live/uk', 'live/nowhere', 'live/eu', 'demo/uk', 'bake/local'].map(
      (name) => at(name).channel,
    );
    expect(channels).toEqual([undefined, 'proven', 'proven', undefined, 'golden', undefined]);
  });

  test('without routes each environment has one of its own', () => {
    const hosts = ['stage/local', 'stage/uk', 'pr-12/eu'].map((name) => at(name).routes[0]?.host);
    expect(hosts).toEqual(['shop.stage.localhost', 'shop.stage-uk.localhost', 'shop.pr-12-eu.localhost']);
    const none = parseComponent(`${SHOP}routes: []`, 'kiln.yaml');
    expect(resolveEnvironment(none, environmentName('stage/local')).routes).toEqual([]);
    const worker = parseComponent('component: w\nprocesses: {job: {run: ./job}}', 'kiln.yaml');
    expect(resolveEnvironment(worker, environmentName('stage/local')).routes).toEqual([]);
  });
});

describe('faults', () => {
  test('all at once, in the order of the file, with what was meant', () => {
    const text = `component: Shop
version: 1.10
health: /up
image: {kind: bundel, biuld: make, run: ./shop}
service:
  instanses: 3
  health: {intervall: 3s, timeout: 30}
routes: [{host: a.example.com, process: webb}]
deploy: {strategy: blue-gren}
`;
    expect(brief(text)).toEqual([
      '1:12 component: not what belongs here',
      '2:10 version: not what belongs here ("1.10"?)',
      '3:1 health: unknown key "health" (service.health?)',
      '4:15 image.kind: not what belongs here (bundle?)',
      '4:23 image.biuld: unknown key "biuld" (build?)',
      '6:3 service.instanses: unknown key "instanses" (instances?)',
      '7:12 service.health.intervall: unknown key "intervall" (interval?)',
      '7:36 service.health.timeout: not what belongs here (30s?)',
      '8:41 routes[0].process: there is no process "webb" (web?)',
      '9:20 deploy.strategy: not what belongs here (blue-green?)',
    ]);
  });

  test('found and expected are said', () => {
    const [fault] = faultsOf(`${SHOP}deploy: {strategy: 5}`);
    expect(fault).toMatchObject({
      path: 'deploy.strategy',
      found: '5',
      expected: 'blue-green, rolling, canary',
    });
    expect(fault?.location).toEqual({ file: 'kiln.yaml', line: 4, column: 20 });
  });

  test.each([
    ['', '1:1 : the file is empty'],
    ['- a', '1:1 : not a component'],
    ['component: a\ncomponent: b\nprocesses: {a: {run: x}}', '2:1 : this key stands here twice'],
    ['component: a\nservice:\n\tport: 1', '3:1 : a tab in the indentation'],
    [`${SHOP}---\nb: 1`, '4:1 : more than one document in the file'],
    ['component: a', '1:1 : there is no process'],
    ['component: a\nservice: {}', '2:1 service.run: "run" is missing'],
    ['image: {run: x}\nservice: {}', '1:1 component: "component" is missing'],
    [`${SHOP}checks: [../x.yaml]`, '4:10 checks[0]: not what belongs here'],
    [`${SHOP}checks: [/etc/passwd]`, '4:10 checks[0]: not what belongs here'],
    [`${SHOP}checks: ["a/../../x"]`, '4:10 checks[0]: not what belongs here'],
    [`${SHOP}processes: {web: {run: x}}`, '4:13 processes.web: "service" is the process "web" already'],
    [
      `${SHOP}processes: {a: {run: x, health: /}}`,
      '4:25 processes.a.health: "a" does not listen, so its health cannot be asked',
    ],
    [
      `${SHOP}processes: {a: {run: x, standard: true}}`,
      '4:25 processes.a.standard: "a" does not listen, so it has no standard endpoints',
    ],
    [
      `${SHOP}processes: {a: {run: x}}\nroutes: [{host: a.b, process: a}]`,
      '5:31 routes[0].process: the process "a" does not listen',
    ],
    [
      `${SHOP}routes: [{host: a.b}, {host: a.b, path: /}]`,
      '4:23 routes[1]: the route a.b/ stands here twice',
    ],
    [`${SHOP}routes: [{host: "a..b"}]`, '4:17 routes[0].host: not a host name'],
    [
      `${HEAD}service: {instances: {min: 3, max: 2}}`,
      '3:22 service.instances: the bounds do not fit together',
    ],
    [`${HEAD}service: {instances: 0}`, '3:22 service.instances: "web" takes requests'],
    [
      `${HEAD}service: {stop: {signals: [SIGKILL, SIGTERM]}}`,
      '3:28 service.stop.signals[0]: nothing can follow SIGKILL',
    ],
    [
      `${HEAD}service: {volumes: [{name: a, path: d}, {name: b, path: ./d/e}]}`,
      '3:57 service.volumes[1].path: overlaps the volume "a" at d',
    ],
    [
      `${HEAD}service: {volumes: [{name: a, path: .}]}`,
      "3:37 service.volumes[0].path: a volume cannot be the app's folder itself",
    ],
    [
      `${HEAD}service: {volumes: [{name: a, path: d}]}\nenvironments: {live/uk: {instances: 2}}`,
      '4:37 environments.live/uk.instances: only one instance may hold the volume "a"',
    ],
    [
      `${HEAD}service: {volumes: [{name: a, path: d}]}\nprocesses: {w: {run: x, volumes: [{name: a, path: d}]}}`,
      '4:42 processes.w.volumes[0].name: the process "web" holds the volume "a" already',
    ],
    [`${SHOP}config: {required: ["a b"]}`, '4:21 config.required[0]: not what belongs here'],
    [
      `${SHOP}config: {values: {db-url: a, db_url: b}}`,
      '4:30 config.values.db_url: "db_url" and "db-url" would both be the environment variable DB_URL',
    ],
    [
      `${SHOP}config: {values: {port: 1}}`,
      "4:19 config.values.port: the environment variable PORT is not the config's to set",
    ],
    [
      `${SHOP}config: {values: {db_url: a}, env: [db_ulr]}`,
      '4:37 config.env[0]: no config key "db_ulr" is declared (db_url?)',
    ],
    [
      `${SHOP}config: {files: [{template: a, path: b}, {template: c, path: b}]}`,
      '4:62 config.files[1].path: overlaps the rendered file b',
    ],
    [`${SHOP}deploy: {steps: [5%]}`, '4:10 deploy.steps: "steps" means nothing here'],
    [`${SHOP}deploy: {strategy: canary, steps: [50%, 5%]}`, '4:35 deploy.steps: the shares do not rise'],
    [
      `${SHOP}environments: {live/uk: {processes: {wbe: {}}}}`,
      '4:38 environments.live/uk.processes.wbe: there is no process "wbe" (web?)',
    ],
    [`${SHOP}environments: {live: {}}`, '4:16 environments.live: "live" cannot be a name here'],
    [
      'component: a\nimage: {kind: machine, build: x}\nservice: {run: x}',
      '2:24 image.build: "build" means nothing for a machine',
    ],
    [`${SHOP}pipeline: pipeline.yaml`, '4:1 pipeline: "pipeline" is not available yet'],
    [
      'component: a\nimage: {run: x, rebake: on-base-change}\nservice: {}',
      '2:17 image.rebake: there is no base that could change',
    ],
    [
      'component: a\nimage:\n  run: x\n  tags: {env: stage, git.sha: abc}\nservice: {}',
      '4:22 image.tags.git.sha: the tag "git.sha" is set by Kiln itself',
    ],
    [
      'component: a\nimage: {run: x, tags: {env: ""}}\nservice: {}',
      '2:29 image.tags.env: this cannot be the value of a tag',
    ],
  ])('%j', (text, expected) => {
    expect(brief(text)).toContain(expected);
  });

  test('one mistake is reported once, and brings no others', () => {
    for (const text of [
      `${HEAD}service: {run: [x]}`,
      'component: shop\nimage: {run: 5}\nservice: {}',
      `${SHOP}processes: {job: {runn: x, port: 80}}\nroutes: [{host: a.b, process: job}]`.replace(
        'runn',
        'run: y, runn',
      ),
      `${SHOP}deploy: {strategy: canry, steps: [5%]}`,
      `${HEAD}service: {instances: {min: 2, max: 1}}\nenvironments: {a/b: {}, c/d: {migrate: x}}`,
    ]) {
      expect(brief(text), text).toHaveLength(1);
    }
  });

  test('what stands behind a refused item of a list keeps its place', () => {
    const text = `${SHOP}routes: [{host: A}, {host: a.b}, {host: a.b}]`;
    expect(brief(text)).toEqual([
      '4:17 routes[0].host: not what belongs here',
      '4:34 routes[2]: the route a.b/ stands here twice',
    ]);
  });

  test('a value of the configuration is never shown', () => {
    const text = `${SHOP}config: {values: {db_password: [hunter2]}}`;
    expect(JSON.stringify(faultsOf(text))).not.toContain('hunter2');
  });

  test('names that would make a server group longer than a DNS label', () => {
    const name = 'a-component-with-quite-a-long-name';
    expect(
      brief(`component: ${name}\nservice: {run: x}\nenvironments: {stage/a-far-away-region: {}}`),
    ).toEqual([
      '3:16 environments.stage/a-far-away-region: component, process "web" and environment are too long together',
    ]);
  });
});

test('anchors, aliases and merge keys', () => {
  const text = `component: shop
x-base: &base {stop: {grace: 5s}, instances: 2}
service: {run: ./shop, <<: *base}
processes: {work: {<<: *base, run: ./work}}
`;
  const { defaults } = parseComponent(text, 'kiln.yaml');
  expect(defaults.processes.map(({ stop, instances }) => [stop.graceMs, instances.desired])).toEqual([
    [5000, 2],
    [5000, 2],
  ]);
});

test('a file of aliases of aliases is refused', () => {
  const lines = Array.from(
    { length: 12 },
    (_, depth) => `x-${depth}: &a${depth} [${`*a${depth - 1},`.repeat(depth === 0 ? 0 : 9)}1]`,
  );
  expect(brief(lines.join('\n'))[0]).toContain('not readable');
});

test('faults are shown in their place', () => {
  const text = `${HEAD}service:\n  instanses: 3\n`;
  expect(formatFaults(faultsOf(text), text)).toBe(
    [
      'kiln.yaml:4:3  service.instanses: unknown key "instanses"',
      '  4 |   instanses: 3',
      '    |   ^ expected one of run, listens, port, health, standard, instances, stop, volumes; did you mean "instances"?',
    ].join('\n'),
  );
  expect(formatFaults(faultsOf(text))).toContain('kiln.yaml:4:3');
});

describe('whatever the file holds', () => {
  const key = fc.oneof(
    fc.constantFrom(
      'component',
      'image',
      'service',
      'processes',
      'config',
      'values',
      'files',
      'routes',
      'host',
      'run',
    ),
    fc.constantFrom(
      'health',
      'instances',
      'volumes',
      'name',
      'path',
      'environments',
      'live/uk',
      'deploy',
      'steps',
      'build',
    ),
    fc.string(),
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 5 },
      fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constantFrom(null, 'shop', '5%', '/a', 'a/b')),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(key, tie('tree'), { maxKeys: 6 }),
    ),
  }));

  test('a definition or a KilnError comes of it, and every fault has its place', () => {
    fc.assert(
      fc.property(fc.dictionary(key, tree), (value) => {
        const text = stringify(value);
        for (const fault of faultsOf(text)) {
          expect(fault.location?.line).toBeGreaterThan(0);
          expect(fault.location?.line).toBeLessThanOrEqual(text.split('\n').length);
          formatFaults([fault], text);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('and of text that is not even YAML', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.string({ unit: fc.constantFrom(...'ab:- \n\t{}[]&*!|>\'"%@`#?,') }),
        ),
        (text) => {
          formatFaults(faultsOf(text), text);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
