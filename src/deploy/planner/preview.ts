/** What a deployment would do, step by step: the planner itself, run over a world in which all goes well. */
import { plan } from './plan.ts';
import { applyStep, letTimePass } from './simulate.ts';
import { describeStep, type Step } from './steps.ts';
import type { World } from './world.ts';

/** More steps than any plan needs; reached only by a planner that runs in circles. */
const STEP_LIMIT = 10_000;

export interface PreviewedStep {
  readonly kind: Step['kind'];
  readonly text: string;
}

/** The steps from the beginning to `deployed`, and then those that let go of what was replaced. */
export interface Preview {
  readonly steps: readonly PreviewedStep[];
  readonly afterwards: readonly PreviewedStep[];
  readonly warnings: readonly string[];
}

export function preview(world: World): Preview {
  const steps: PreviewedStep[] = [];
  const afterwards: PreviewedStep[] = [];
  const warnings = new Set<string>();
  let finished = false;
  let current = world;
  for (let taken = 0; taken < STEP_LIMIT; taken += 1) {
    const step = plan(current);
    if (finished && step.kind === 'wait' && !hasEnd(step))
      return { steps, afterwards, warnings: [...warnings] };
    const text = describeStep(step);
    if (text !== undefined) note(finished ? afterwards : steps, { kind: step.kind, text });
    warnAbout(step, finished, warnings);
    if (step.kind === 'finish') finished = true;
    current = step.kind === 'wait' ? passWait(current, step) : applyStep(current, step);
  }
  throw new Error('the planner does not come to an end');
}

/** Waiting for the same thing twice is one wait to whoever reads it. */
function note(steps: PreviewedStep[], step: PreviewedStep): void {
  if (steps.at(-1)?.text !== step.text) steps.push(step);
}

function hasEnd(step: Extract<Step, { kind: 'wait' }>): boolean {
  return step.untilMs !== undefined;
}

function passWait(world: World, step: Extract<Step, { kind: 'wait' }>): World {
  const ms = step.untilMs === undefined ? 1 : Math.max(1, step.untilMs - world.nowMs);
  return letTimePass(world, ms);
}

function warnAbout(step: Step, finished: boolean, warnings: Set<string>): void {
  if (finished || step.kind !== 'remove-group') return;
  warnings.add(
    `${step.group} stops before its successor starts: ${step.why}; requests wait in the router meanwhile.`,
  );
}
