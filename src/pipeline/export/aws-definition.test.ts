import { expect, it } from 'vitest';
import { loadStateMachine } from '../asl/load.ts';
import { verbLimits } from '../definition/verb-limits.ts';
import { RESOURCES } from '../task-registry.ts';
import { exportForAws } from './aws-definition.ts';

const PLACE = { region: 'eu-west-2', account: '123456789012', prefix: 'kiln-' };

const limitOf = verbLimits(RESOURCES);

function each(reader: object) {
  return loadStateMachine({
    StartAt: 'Each',
    States: {
      Each: {
        Type: 'Map',
        ItemReader: reader,
        ItemProcessor: {
          ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' },
          StartAt: 'One',
          States: { One: { Type: 'Task', Resource: 'bake', End: true } },
        },
        End: true,
      },
    },
  });
}

it('items in S3 are read at AWS as they are here; those in files are refused', async () => {
  const bucket = { Resource: 'arn:aws:states:::s3:getObject', Parameters: { Bucket: 'b', Key: 'k' } };
  const { definition, activities } = exportForAws(await each(bucket), PLACE, limitOf);
  expect(definition).toMatchObject({ States: { Each: { ItemReader: bucket } } });
  expect(activities.map(({ task }) => task)).toEqual(['bake']);
  const files = await each({ Resource: 'file.read', Parameters: { Path: 'a.json' } });
  expect(() => exportForAws(files, PLACE, limitOf)).toThrow('AWS has no files of a source: Each.');
});

it('a Task that has no time-out gets the limit that it has here, since AWS has none', async () => {
  const task = (given: object) => ({ Type: 'Task', Resource: 'cmd', Next: 'end', ...given });
  const commands = ['true'];
  const { definition } = exportForAws(
    await loadStateMachine({
      StartAt: 'plain',
      States: {
        plain: task({ Parameters: { commands }, Next: 'longer' }),
        longer: task({ Parameters: { commands, timeoutSeconds: 7_200 }, Next: 'asked' }),
        asked: task({ Parameters: { commands, 'timeoutSeconds.$': '$.t' }, Next: 'own' }),
        own: task({ Parameters: { commands }, TimeoutSeconds: 60, Next: 'lambda' }),
        lambda: task({ Resource: 'arn:aws:lambda:eu-west-2:123456789012:function:f' }),
        end: { Type: 'Succeed' },
      },
    }),
    PLACE,
    limitOf,
  );
  const day = 86_400;
  expect(definition).toMatchObject({
    States: {
      plain: { TimeoutSeconds: day + 7_200 },
      longer: { TimeoutSeconds: day + 7_200 + 3_600 },
      asked: { TimeoutSeconds: day + 7_200 + day - 3_600 },
      own: { TimeoutSeconds: 60 },
      lambda: expect.not.objectContaining({ TimeoutSeconds: expect.anything() }),
    },
  });
});
