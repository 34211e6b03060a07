import { describe, expect, it } from 'vitest';
import { pipelineFaults } from '../../../test/pipeline/pipeline-faults.ts';
import { KilnError } from '../../domain/errors.ts';
import { run } from '../asl/run.ts';
import { graphOf } from './graph.ts';
import { layOut, type PlacedGraph } from './layered-layout.ts';
import { mermaid } from './mermaid.ts';
import { parameterValues } from './parameters.ts';
import { readPipeline } from './pipeline-file.ts';
import type { TaskResource } from './resources.ts';
import { svg } from './svg.ts';

const RESOURCES: readonly TaskResource[] = [
  { name: 'cmd', does: 'runs commands' },
  { name: 'deploy', does: 'deploys' },
  { name: 'scan', does: 'scans', notYet: 'no scanner is built in' },
];

const faultsOf = (text: string) => pipelineFaults(text, RESOURCES);

/** `line:column message` of each. */
async function placesOf(text: string): Promise<string[]> {
  const faults = await faultsOf(text);
  return faults.map(({ location, message }) => `${location?.line}:${location?.column} ${message}`);
}

describe('readPipeline', () => {
  it('tells every fault at once, each in its place', async () => {
    const text = `Parameters:
  - {name: version, type: text}
StartAt: Build
States:
  Build:
    Type: Task
    Resource: cmd
    Nxt: Check
    Retry:
      - ErrorEquals: [States.ALL, Foo]
    Next: Chek
  Check:
    Type: Choise
    Next: Done
  Orphan:
    Type: Pass
    Parameters: {x.$: "States.Foo($.a"}
  Both:
    Type: Parallel
    Branches: [{StartAt: D, States: {D: {Type: Task, Resource: deplo, End: true}}}]
    Next: Done
  Done: {Type: Succeed}
`;
    expect(await placesOf(text)).toEqual([
      '2:27 not what belongs here',
      '8:5 "Nxt" is not a field in a Task state',
      '10:22 States.ALL stands alone',
      '11:11 there is no state "Chek" here',
      '13:11 not a type of state',
      '15:3 the state leads nowhere',
      expect.stringContaining('17:23 ")" is expected'),
      '20:64 there is no such task',
    ]);
    const faults = await faultsOf(text);
    expect(faults.find(({ path }) => path === 'States.Build.Next')?.didYouMean).toBe('Check');
    expect(faults.find(({ path }) => path === 'States.Check.Type')?.didYouMean).toBe('Choice');
  });

  it('names what nothing leads to, inside branches too', async () => {
    const inner = '{StartAt: A, States: {A: {Type: Succeed}, Lost: {Type: Succeed}}}';
    expect(
      await placesOf(`StartAt: P
States:
  P: {Type: Parallel, Branches: [${inner}], End: true}
  Alone: {Type: Succeed}
`),
    ).toEqual(['3:76 nothing leads to the state "Lost"', '4:3 nothing leads to the state "Alone"']);
  });

  it('names tasks that are unknown or not there yet', async () => {
    const text = (resource: string) => `StartAt: T
States:
  T: {Type: Task, Resource: ${resource}, End: true}
`;
    expect(await placesOf(text('deploy'))).toEqual([]);
    expect(await placesOf(text('deploy.sync'))).toEqual([]);
    expect(await faultsOf(text('deplo'))).toMatchObject([
      { message: 'there is no such task', didYouMean: 'deploy', location: { line: 3, column: 29 } },
    ]);
    expect(await placesOf(text('scan'))).toEqual([
      '3:29 the task "scan" is not there yet: no scanner is built in',
    ]);
  });

  it('leaves keys of a payload alone, whatever they are called', async () => {
    const text = `StartAt: T
States:
  T: {Type: Task, Resource: cmd, Parameters: {InputPath: here, Variable: x, deep: {MaxPath: y}}, End: true}
`;
    expect(await placesOf(text)).toEqual([]);
    expect(await placesOf(text.replace('MaxPath: y', 'z.$: y'))).toEqual([expect.stringContaining('3:')]);
  });

  it.each([
    ['{% $sum( %}', 'not JSONata'],
    ['{% $states.input %}', undefined],
  ])('checks the JSONata of %s', async (output, message) => {
    const text = `{"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Pass", "Output": {"x": "${output}"}, "End": true}}}`;
    const [fault] = await faultsOf(text);
    if (message === undefined) expect(fault).toBeUndefined();
    else expect(fault?.message).toContain(message);
  });

  it.each([
    ['', 'not a pipeline'],
    ['- a', 'not a pipeline'],
    ['StartAt: [', 'Flow sequence'],
    ['steps: {}', '"StartAt" is missing'],
  ])('refuses %s', async (text, message) => {
    const faults = await faultsOf(text);
    expect(faults.map((fault) => fault.message).join('\n')).toContain(message);
  });

  const deep = `${'['.repeat(300)}${']'.repeat(300)}`;
  it.each([
    ['a tab', 'StartAt: A\nStates:\n\tA: {Type: Succeed}\n', '3:1 a tab in the indentation'],
    [
      'a mark at the beginning',
      '\uFEFFStartAt: A\nStates:\n  A: {Type: Suceed}\n',
      '3:13 not a type of state',
    ],
    ['lines of Windows', 'StartAt: A\r\nStates:\r\n  A: {Type: Suceed}\r\n', '3:13 not a type of state'],
    [
      'a key twice',
      'StartAt: A\nStates:\n  A: {Type: Succeed}\n  A: {Type: Succeed}\n',
      '4:3 this key stands here twice',
    ],
    [
      'an alias of what it is in',
      'StartAt: A\nStates: &s\n  A: {Type: Pass, Result: *s}\n',
      '3:27 an alias inside of what it stands for',
    ],
    [
      'a merge of itself',
      'x-a: &a {<<: *a}\nStartAt: A\n',
      '1:1 not readable: Excessive alias count indicates a resource exhaustion attack',
    ],
    [
      'what was merged',
      'x-a: &a\n  Type: Suceed\nStartAt: A\nStates:\n  A: {<<: *a}\n',
      '2:9 not a type of state',
    ],
    ['two documents', 'StartAt: A\n---\nStates: {}\n', '2:1 more than one document in the file'],
    ['great depth', `StartAt: A\nStates:\n  A: {Type: Pass, Result: ${deep}}\n`, '3:225 nested too deeply'],
    ['greater depth', '['.repeat(100_000), 'nested too deeply'],
    [
      'the name of a prototype',
      'StartAt: A\nStates:\n  __proto__: {Type: Succeed}\n',
      '3:3 "__proto__" cannot be a name',
    ],
    [
      'another encoding',
      'StartAt: A\nStates:\n  \uFFFD: {Type: Succeed}\n',
      '3:3 a character that is not UTF-8',
    ],
  ])('tells of %s where it stands', async (_, text, expected) => {
    expect((await placesOf(text)).join('\n')).toContain(expected);
  });

  it('takes states that are called as what every object has', async () => {
    const { machine } = await readPipeline(
      'StartAt: constructor\nStates:\n  constructor: {Type: Pass, Next: toString}\n  toString: {Type: Succeed}\n',
      'pipeline.yaml',
    );
    expect((await run(machine, {})).stateSequence).toEqual(['constructor', 'toString']);
    const odd = 'StartAt: A\nStates:\n  A: {Type: Pass, Next: valueOf}\n';
    expect(await placesOf(odd)).toEqual(['3:25 there is no state "valueOf" here']);
  });

  it('takes no more than AWS does, and lists no more faults than anybody reads', async () => {
    const large = `StartAt: A\nx-a: ${'a'.repeat(1_048_576)}\n`;
    await expect(readPipeline(large, 'pipeline.yaml')).rejects.toThrow('more than 1048576 characters');
    const states = Array.from({ length: 600 }, (_, at) => `  S${at}: {Type: Pas}\n`).join('');
    const error: unknown = await readPipeline(`StartAt: S0\nStates:\n${states}`, 'pipeline.yaml').catch(
      (thrown) => thrown,
    );
    if (!(error instanceof KilnError)) throw error;
    expect(error.message).toContain('The first 500 are listed.');
    expect(error.faults).toHaveLength(500);
  });

  it('takes files of Microtica as they are', async () => {
    const { machine } = await readPipeline(
      `Pipeline:
  StartAt: Build
  States:
    Build:
      Type: Task
      Resource: microtica.actions.cmd
      Parameters:
        commands:
        - npm i
        - npm t
        sourceLocation: "$.source.location"
        artifacts: true
      End: true
`,
      'microtica.yaml',
      { resources: RESOURCES },
    );
    const asked: unknown[] = [];
    await run(
      machine,
      { source: { location: 's3://here' } },
      {
        mocks: (task) => {
          asked.push(task.arguments);
          return { output: null };
        },
      },
    );
    expect(asked).toEqual([{ commands: ['npm i', 'npm t'], sourceLocation: 's3://here', artifacts: true }]);
  });
});

describe('parameterValues', () => {
  it('reads texts as the declared types, fills in defaults and names every fault', async () => {
    const { parameters } = await readPipeline(
      `Parameters:
  - {name: version}
  - {name: copies, type: number, default: 2}
  - {name: level, allowed: [stage, live], default: stage}
  - {name: dry, type: boolean, default: false}
StartAt: A
States: {A: {Type: Succeed}}
`,
      'pipeline.yaml',
    );
    expect(parameterValues(parameters, { version: '1.10', dry: 'true' })).toEqual({
      version: '1.10',
      copies: 2,
      level: 'stage',
      dry: true,
    });
    expect(() => parameterValues(parameters, { copies: 'many', level: 'moon', other: 1 })).toThrow(
      expect.objectContaining({
        faults: [
          expect.objectContaining({ path: 'other' }),
          expect.objectContaining({ path: 'version', message: 'is missing' }),
          expect.objectContaining({ path: 'copies', expected: 'a number' }),
          expect.objectContaining({ path: 'level', expected: 'one of stage, live' }),
        ],
      }),
    );
  });
});

describe('the graph', () => {
  const text = `StartAt: Build
States:
  Build: {Type: Task, Resource: cmd, Next: Fan, Catch: [{ErrorEquals: [States.ALL], Next: Sorry}]}
  Fan:
    Type: Parallel
    Branches:
      - {StartAt: A, States: {A: {Type: Wait, Seconds: 5, End: true}}}
      - {StartAt: B, States: {B: {Type: Pass, End: true}}}
    Next: Again
  Again:
    Type: Choice
    Choices: [{Variable: $.again, BooleanEquals: true, Next: Build}]
    Default: Done
  Sorry: {Type: Fail, Error: '<b>"Sorry"</b>'}
  Done: {Type: Succeed}
`;

  it('has each state once and each transition, in Mermaid', async () => {
    const drawn = mermaid(graphOf((await readPipeline(text, 'pipeline.yaml')).machine));
    expect(drawn).toContain('s0["Build<br/>cmd"]');
    expect(drawn).toContain('subgraph s1_1["branch 2"]');
    expect(drawn).toContain('s0 -.->|"States.ALL"| s3');
    expect(drawn).toContain('s2 -->|"$.again BooleanEquals true"| s0');
    expect(drawn).toContain('s2 -->|"otherwise"| s4');
    expect(drawn).not.toContain('<b>');
  });

  it('lays nothing on another, states and what edges say, and all of it within the picture', async () => {
    const faults = (placed: PlacedGraph): string[] => {
      const things = [
        ...placed.nodes.map((node) => ({ ...node, name: node.node.name })),
        ...placed.edges.flatMap(({ label, edge }) =>
          label === undefined ? [] : [{ ...label, name: `"${edge.label}"` }],
        ),
      ];
      return [
        ...things.flatMap((one, at) =>
          things
            .slice(at + 1)
            .filter((other) => one.x < other.x + other.width && other.x < one.x + one.width)
            .filter((other) => one.y < other.y + other.height && other.y < one.y + one.height)
            .map((other) => `${one.name} and ${other.name}`),
        ),
        ...things
          .filter(({ x, width }) => x < 0 || x + width > placed.width)
          .map(({ name }) => `${name} is cut off`),
        ...placed.edges.flatMap(({ from, via, to, isBack, edge }) => {
          const stops = isBack ? [] : [from, ...via, to];
          return stops.slice(1).flatMap((stop, at) => {
            const top = (stops[at]?.y ?? 0) + (stops[at]?.height ?? 0);
            const crossed = placed.nodes.filter(({ y, height }) => y >= top && y + height <= stop.y);
            return crossed.map(({ node }) => `${edge.from} to ${edge.to} crosses ${node.name}`);
          });
        }),
        ...placed.nodes.flatMap(({ inner, node, width }) => [
          ...inner.filter((one) => one.x + one.width > width).map(() => `${node.name} is too narrow`),
          ...inner.flatMap(faults),
        ]),
      ];
    };
    const choice = `StartAt: How far
States:
  How far:
    Type: Choice
    Choices:
      - {Variable: $.parameters.level, StringEquals: live, Next: Live}
      - {Variable: $.parameters.level, StringEquals: everywhere, Next: Last}
      - {Variable: $.parameters.level, StringEquals: nowhere at all, Next: How far}
      - {Variable: $.parameters.level, StringEquals: nowhere else, Next: How far}
    Default: Done
  Live: {Type: Task, Resource: cmd, Next: More, Catch: [{ErrorEquals: [States.Timeout, Cmd.Failed], Next: How far}]}
  More: {Type: Task, Resource: cmd, Next: Done, Catch: [{ErrorEquals: [States.ALL], Next: Sorry}]}
  Last: {Type: Task, Resource: cmd, Next: Done, Catch: [{ErrorEquals: [States.ALL], Next: Sorry}]}
  Sorry: {Type: Pass, Next: Done}
  Done: {Type: Succeed}
`;
    for (const one of [text, choice])
      expect(faults(layOut(graphOf((await readPipeline(one, 'pipeline.yaml')).machine)))).toEqual([]);
  });

  it('is a picture that stands alone, with every name made safe', async () => {
    const drawn = svg(graphOf((await readPipeline(text, 'pipeline.yaml')).machine));
    for (const name of ['Build', 'Fan', 'A', 'B', 'Again', 'Sorry', 'Done'])
      expect(drawn).toContain(`>${name}</text>`);
    expect(drawn).toContain('&lt;b&gt;');
    expect(drawn).not.toMatch(/NaN|undefined|<script|<b>/);
    const rows = [...drawn.matchAll(/<(?:rect|polygon) class="node/g)];
    expect(rows).toHaveLength(7);
  });
});

it('names what cannot read or write items for a Map', async () => {
  const text = (reader: string, writer: string) => `
StartAt: Each
States:
  Each:
    Type: Map
    ItemReader: ${reader}
    ResultWriter: ${writer}
    ItemProcessor:
      ProcessorConfig: {Mode: DISTRIBUTED, ExecutionType: STANDARD}
      StartAt: One
      States: {One: {Type: Pass, End: true}}
    End: true
`;
  const bad = text(
    '{Resource: "arn:aws:states:::s3:getObjekt", ReaderConfig: {Transformation: LOAD_AND_FLATTEN}}',
    '{Resource: file.writ, Parameters: {}}',
  );
  expect(await faultsOf(bad)).toMatchObject([
    { path: 'States.Each.ItemReader.Resource', didYouMean: 'arn:aws:states:::s3:getObject' },
    {
      path: 'States.Each.ItemReader.ReaderConfig.Transformation',
      expected: 'InputType: CSV, JSON, JSONL or PARQUET',
    },
    { path: 'States.Each.ResultWriter.Resource', didYouMean: 'file.write', location: { line: 7 } },
  ]);
  const muddled = text(
    '{Resource: file.read, ReaderConfig: {InputType: CSV, CSVHeaderLocation: GIVEN, Transformation: LOAD_AND_FLATTEN}}',
    '{Resource: file.write, WriterConfig: {Transformation: FLATTEN}}',
  );
  expect(await faultsOf(muddled)).toMatchObject([
    { path: 'States.Each.ItemReader.ReaderConfig.CSVHeaderLocation', expected: 'CSVHeaders' },
    {
      path: 'States.Each.ItemReader.ReaderConfig.Transformation',
      message: 'only files that are listed are loaded',
    },
  ]);
  const manifests = text(
    '{Resource: file.read, ReaderConfig: {InputType: CSV, ManifestType: S3_INVENTORY}}',
    '{Resource: file.write, WriterConfig: {Transformation: FLATTEN}}',
  );
  expect(await faultsOf(manifests)).toMatchObject([
    { path: 'States.Each.ItemReader.ReaderConfig.InputType' },
  ]);
  expect(
    await faultsOf(manifests.replace('S3_INVENTORY', 'ATHENA_DATA').replace('CSV', 'JSON')),
  ).toMatchObject([
    {
      path: 'States.Each.ItemReader.ReaderConfig.ManifestType',
      expected: 'InputType: CSV, JSONL or PARQUET',
    },
  ]);
  const good = text(
    '{Resource: file.read, ReaderConfig: {InputType: CSV, CSVHeaderLocation: FIRST_ROW}, Parameters: {Path: a.csv}}',
    '{Resource: "arn:aws:states:::s3:putObject", Parameters: {Bucket: b}}',
  );
  expect((await readPipeline(good, 'pipeline.yaml')).machine.StartAt).toBe('Each');
});
