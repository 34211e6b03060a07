import { mkdir } from 'node:fs/promises';
import type { Target } from '../../domain/ports/target.ts';
import { GroupRecords } from '../group-records.ts';
import { LogFiles } from '../log-files.ts';
import type { RotationLimits } from '../log-rotation.ts';
import { SupervisedTarget } from '../supervised.ts';
import type { TargetParts } from '../target-parts.ts';
import { UnpackedImages } from '../unpacked-images.ts';
import { LocalEngine } from './engine.ts';
import { SandboxProbe } from './isolation.ts';
import { localLayout } from './layout.ts';

/** Of an image it knows bundles alone. */
type LocalParts = Omit<TargetParts, 'kindOf' | 'containerArchive' | 'dockerSocket'>;

export interface LocalTargetOptions extends LocalParts {
  /** `none`: no sandbox though there could be one. Default: whatever works here. */
  readonly isolation?: 'none';
  readonly rotation?: RotationLimits;
}

/** Runs instances as processes of this machine. One server at a time may open a state directory. */
export async function createLocalTarget(options: LocalTargetOptions): Promise<Target> {
  const { stateDirectory, hiddenPaths, clock, log } = options;
  const layout = localLayout(stateDirectory);
  await mkdir(layout.root, { recursive: true, mode: 0o700 });
  const engine = await LocalEngine.open({
    layout,
    images: new UnpackedImages(layout, options.unpack),
    logs: new LogFiles(layout, clock),
    probe: new SandboxProbe(
      { stateDirectory, hiddenPaths, path: options.path, trialDirectory: layout.trial },
      log,
      options.isolation,
    ),
    clock,
    log,
    path: options.path,
    ...(options.rotation === undefined ? {} : { rotation: options.rotation }),
  });
  const target = new SupervisedTarget(engine, await GroupRecords.open(layout.root, log), clock, log);
  await target.start();
  return target;
}
