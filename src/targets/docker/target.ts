import { mkdir } from 'node:fs/promises';
import { EngineClient } from '../../docker/engine-client.ts';
import type { Target } from '../../domain/ports/target.ts';
import { GroupRecords } from '../group-records.ts';
import { SupervisedTarget } from '../supervised.ts';
import type { TargetParts } from '../target-parts.ts';
import { DockerEngine } from './engine.ts';
import { DockerImages } from './images.ts';
import { dockerLayout } from './layout.ts';

/** Runs instances as containers of the Docker engine on this machine, whether it answers now or only later. */
export async function createDockerTarget(parts: TargetParts): Promise<Target> {
  const { stateDirectory, dockerSocket, clock, log } = parts;
  const layout = dockerLayout(stateDirectory);
  await mkdir(layout.root, { recursive: true, mode: 0o700 });
  const client = new EngineClient(dockerSocket);
  const images = new DockerImages({ ...parts, layout, client });
  const engine = await DockerEngine.open({ client, layout, images, clock, log });
  const target = new SupervisedTarget(engine, await GroupRecords.open(layout.root, log), clock, log);
  await target.start();
  return target;
}
