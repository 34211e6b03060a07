import { z } from 'zod';
import type { Task } from '../task.ts';
import { argumentsOf } from '../task-arguments.ts';
import type { TaskParts } from '../task-parts.ts';

const shape = z.strictObject({
  component: z.string(),
  environment: z.string(),
  image: z.string().min(1).optional(),
});

/** `{component, environment, image?}` → `{release, version, changed}`, once that serves. Cancelled with its task. */
export function deploy({ verbs, mayDeploy }: TaskParts): Task {
  return {
    name: 'deploy',
    does: 'deploys an image to an environment',
    repeat: 'same-key',
    takesPlace: false,
    run: async (call, signal) => {
      const wish = argumentsOf(shape, call);
      await mayDeploy(wish.environment, call.sinceMs, signal);
      return verbs.deploy(wish, call, signal);
    },
  };
}
