/**
 * Deletes an AMI of ours and the snapshots that it stands on.
 *
 *   found ─snapshots are tagged with it─► deregistered ─tagged snapshots are deleted─► gone
 *
 * A snapshot can only be deleted once its AMI has gone, which then does not say any more which they were: the tag does,
 * also to the run after one that was killed in between.
 */
import { KilnError } from '../../../domain/errors.ts';
import type { Artifact } from '../../../domain/image.ts';
import type { ArtifactRemoval } from '../../../domain/ports/artifact-removal.ts';
import { type Ec2, isAmazonRefusal, valuesIn } from './ec2.ts';

const SWEPT_TAG = 'kiln:swept-ami';

export function amiRemoval(ec2: Ec2): ArtifactRemoval {
  return {
    name: 'amazon',
    concerns: ({ provider }) => provider === 'amazon',
    remove: async (artifact, _component, signal) => {
      const { region, ami } = placeOf(artifact);
      const snapshots = await snapshotsUnder(ec2, region, ami, signal);
      if (snapshots !== undefined) {
        if (snapshots.length > 0) {
          const tag = { 'Tag.1.Key': SWEPT_TAG, 'Tag.1.Value': ami };
          await ec2.call(region, 'CreateTags', { ResourceId: snapshots, ...tag }, signal);
        }
        await unless(/^InvalidAMIID\./, () => ec2.call(region, 'DeregisterImage', { ImageId: ami }, signal));
      }
      for (const snapshot of await taggedSnapshots(ec2, region, ami, signal)) {
        // One that is in use is another AMI's too, and goes with that one.
        await unless(/^InvalidSnapshot\.(NotFound|InUse)$/, () =>
          ec2.call(region, 'DeleteSnapshot', { SnapshotId: snapshot }, signal),
        );
      }
    },
  };
}

function placeOf({ region, reference }: Artifact): { readonly region: string; readonly ami: string } {
  if (region !== undefined && reference !== undefined && /^ami-[0-9a-f]+$/.test(reference))
    return { region, ami: reference };
  throw new KilnError('input.invalid', `"${reference}" in "${region}" is no AMI.`, {
    next: 'Look for it at Amazon, and delete it there.',
  });
}

/** Undefined: there is no such AMI of ours. */
async function snapshotsUnder(
  ec2: Ec2,
  region: string,
  ami: string,
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  const xml = await unless(/^InvalidAMIID\./, () =>
    ec2.call(region, 'DescribeImages', { ImageId: [ami], Owner: ['self'] }, signal),
  );
  if (xml === undefined || !valuesIn(xml, 'imageId').includes(ami)) return undefined;
  return [...new Set(valuesIn(xml, 'snapshotId'))];
}

async function taggedSnapshots(
  ec2: Ec2,
  region: string,
  ami: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const filter = { 'Filter.1.Name': `tag:${SWEPT_TAG}`, 'Filter.1.Value.1': ami };
  return valuesIn(
    await ec2.call(region, 'DescribeSnapshots', { Owner: ['self'], ...filter }, signal),
    'snapshotId',
  );
}

async function unless<Result>(refused: RegExp, ask: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (!isAmazonRefusal(error, refused)) throw error;
    return undefined;
  }
}
