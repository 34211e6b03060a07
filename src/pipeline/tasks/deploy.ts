import { z } from 'zod';
import { component, environment, image } from '../argument-shapes.ts';
import { unlessStopped } from '../executor/running-tasks.ts';
import { PAUSE_LIMIT_SECONDS } from '../pause-gate.ts';
import { DAY, taskVerb } from '../task-verb.ts';

/** `{component, environment, image?}` → `{release, version, changed}`, once that serves. Cancelled with its task. */
export const deploy = taskVerb({
  name: 'deploy',
  does: 'deploys an image to an environment',
  takes: z.strictObject({ component, environment, image: image.optional() }),
  // A canary may take hours, and others may come before it.
  limit: { waitSeconds: PAUSE_LIMIT_SECONDS, seconds: DAY },
  repeat: 'same-key',
  takesPlace: false,
  async run({ verbs, mayDeploy }, wish, call, signal) {
    await mayDeploy(wish.environment, call.sinceMs, signal);
    await unlessStopped(call.begins(), signal);
    return verbs.deploy(wish, call, signal);
  },
});
