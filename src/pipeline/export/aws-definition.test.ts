import { expect, it } from 'vitest';
import { loadStateMachine } from '../asl/load.ts';
import { exportForAws } from './aws-definition.ts';

const PLACE = { region: 'eu-west-2', account: '123456789012', prefix: 'kiln-' };

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
  const { definition, activities } = exportForAws(await each(bucket), PLACE);
  expect(definition).toMatchObject({ States: { Each: { ItemReader: bucket } } });
  expect(activities.map(({ task }) => task)).toEqual(['bake']);
  const files = await each({ Resource: 'file.read', Parameters: { Path: 'a.json' } });
  expect(() => exportForAws(files, PLACE)).toThrow('AWS has no files of a source: Each.');
});
