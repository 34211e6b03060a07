/** A process of its own that makes a root filesystem: to be killed in the middle, or to be run by another user. */
import { storeMachineFile } from '../../src/bakery/machine/stored-files.ts';
import { readComponent } from '../../src/component/read.ts';
import type { ImageId } from '../../src/domain/ids.ts';
import { NEVER } from '../e2e/bake-fixture.ts';
import { openMachineKitchen } from './machine-fixture.ts';

// Without an archive it makes a foundation.
const [state = '', archive = '', directory = ''] = process.argv.slice(2);
const kitchen = await openMachineKitchen(state);
try {
  const file = { file: archive, form: 'rootfs' as const, arch: 'amd64' };
  const artifacts = archive === '' ? [] : [await storeMachineFile(kitchen.blobs, file, NEVER)];
  const { definition } = await readComponent(directory);
  const base = archive === '' ? {} : { base: { image: 'image-of-a-test' as ImageId, artifacts } };
  const made = await kitchen.builder.build(
    { definition, directory, ...base },
    (progress) => process.send?.(progress.kind === 'output' ? progress.line : progress.name),
    NEVER,
  );
  process.send?.(`made ${made.artifacts[0]?.digest}`);
} catch (error) {
  process.send?.(`failed ${String(error)}`);
} finally {
  await kitchen.close();
  process.disconnect?.();
}
