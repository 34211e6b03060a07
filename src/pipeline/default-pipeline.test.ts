import { expect, it } from 'vitest';
import { run } from './asl/run.ts';
import { defaultPipeline } from './default-pipeline.ts';
import { readPipeline } from './definition/pipeline-file.ts';
import { RESOURCES } from './task-registry.ts';

it.each([
  [['bake/uk', 'stage/uk', 'live/uk', 'live/us'], ['stage/uk'], ['live/uk', 'live/us']],
  [[], ['stage/local'], ['live/local']],
  [['stage/uk'], ['stage/uk'], []],
])(
  'the default pipeline of a component with %j is valid and goes in that order',
  async (environments, before, live) => {
    const text = defaultPipeline({ component: 'shop', environments });
    const { machine } = await readPipeline(text, 'pipeline.yaml', { resources: RESOURCES });
    const asked: string[] = [];
    const { status, stateSequence } = await run(
      machine,
      { trigger: { source: { location: '/shop' } } },
      {
        mocks: ({ resource, arguments: given }) => {
          asked.push(`${resource} ${JSON.stringify(given)}`);
          return { output: { id: 'image-1' } };
        },
      },
    );
    expect(status).toBe('SUCCEEDED');
    expect(stateSequence).toEqual([
      ...['Bake', 'Check', 'Candidate'],
      ...before.flatMap((environment) => [`Deploy ${environment}`, `Check ${environment}`]),
      'Proven',
      ...(live.length > 0 ? ['Approve'] : []),
      ...live.map((environment) => `Deploy ${environment}`),
    ]);
    expect(asked[0]).toBe('bake {"directory":"/shop"}');
    expect(asked).toContain('promote {"image":"image-1","channel":"proven"}');
    // Whoever approves is shown what the image would change wherever it goes live.
    const [first, second] = live;
    const environment = second === undefined ? first : live;
    const approval = first === undefined ? [] : [{ image: 'image-1', environment }];
    const approvals = asked.filter((one) => one.startsWith('approve '));
    expect(approvals.map((one) => JSON.parse(one.slice('approve '.length)))).toMatchObject(approval);
  },
);
