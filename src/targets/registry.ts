import type { Target } from '../domain/ports/target.ts';
import { createDockerTarget } from './docker/target.ts';
import { createLocalTarget } from './local/target.ts';
import type { TargetParts } from './target-parts.ts';

export type TargetFactory = (parts: TargetParts) => Promise<Target>;

/** Every target by its name, which is its folder's name too. Adding one is a folder and a line here. */
export const TARGETS: Readonly<Record<string, TargetFactory>> = {
  docker: createDockerTarget,
  local: createLocalTarget,
};
