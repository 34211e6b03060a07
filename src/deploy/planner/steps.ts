import type { Decisions, Deployment } from '../../domain/deployment.ts';
import type { InstanceId, ReleaseNumber, ServerGroupName } from '../../domain/ids.ts';
import type { ServerGroup } from '../../domain/server-group.ts';

/** One act of the reconciler. Each is safe to repeat, and after each the world is observed anew. */
export type Step =
  | { readonly kind: 'publish' }
  | { readonly kind: 'start-next' }
  | { readonly kind: 'decide'; readonly decisions: Decisions }
  | { readonly kind: 'prepare'; readonly release: ReleaseNumber }
  | { readonly kind: 'migrate'; readonly release: ReleaseNumber }
  /** Stores the wish and tells the target. */
  | { readonly kind: 'scale'; readonly group: ServerGroup; readonly from: number }
  /** Stores which instances leave and until when; the routers then drain them. */
  | { readonly kind: 'drain'; readonly group: ServerGroup }
  /** Stops drained instances. */
  | { readonly kind: 'retire'; readonly group: ServerGroup; readonly instances: readonly InstanceId[] }
  | { readonly kind: 'keep-warm'; readonly group: ServerGroup; readonly untilMs: number }
  | { readonly kind: 'shift'; readonly weights: Readonly<Record<string, number>>; readonly why: string }
  | { readonly kind: 'verify'; readonly release: ReleaseNumber }
  | { readonly kind: 'check'; readonly release: ReleaseNumber }
  | { readonly kind: 'remove-group'; readonly group: ServerGroupName; readonly why: string }
  | { readonly kind: 'mark-bad'; readonly release: ReleaseNumber; readonly why: string }
  | {
      readonly kind: 'finish';
      readonly state: 'deployed' | 'failed' | 'cancelled';
      readonly failure?: Deployment['failure'];
    }
  /** Nothing to do until something changes, or until the time given. */
  | { readonly kind: 'wait'; readonly reason: string; readonly progress?: string; readonly untilMs?: number };

/** What people are shown before and during a deployment; undefined for book-keeping. */
export function describeStep(step: Step): string | undefined {
  switch (step.kind) {
    case 'prepare':
      return `bring the image of release ${step.release} to the target`;
    case 'migrate':
      return `run the migration of release ${step.release}, once`;
    case 'scale':
      if (step.from === step.group.desired) return `put ${step.group.name} back to work`;
      return step.from === 0
        ? `start ${count(step.group.desired)} of ${step.group.name}`
        : `scale ${step.group.name} from ${step.from} to ${step.group.desired}`;
    case 'drain':
      return `drain ${count(step.group.leaving.length)} of ${step.group.name}`;
    case 'retire':
      return `stop ${count(step.instances.length)} of ${step.group.name}`;
    case 'keep-warm':
      return `keep ${step.group.name} running, ready for a rollback`;
    case 'shift':
      return `shift traffic: ${shares(step.weights)} (${step.why})`;
    case 'verify':
      return `see that requests through the router are answered by release ${step.release}`;
    case 'check':
      return `run the smoke checks against release ${step.release}`;
    case 'remove-group':
      return `remove ${step.group} (${step.why})`;
    case 'mark-bad':
      return `mark release ${step.release} as bad: ${step.why}`;
    case 'finish':
      return step.state;
    case 'wait':
      return `wait until ${step.reason}`;
    case 'publish':
    case 'decide':
    case 'start-next':
      return undefined;
  }
}

function count(instances: number): string {
  return instances === 1 ? '1 instance' : `${instances} instances`;
}

function shares(weights: Readonly<Record<string, number>>): string {
  const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
  const parts = Object.entries(weights)
    .filter(([, weight]) => weight > 0)
    .map(([group, weight]) => `${Math.round((weight / total) * 100)} % to ${group}`);
  return parts.length > 0 ? parts.join(', ') : 'none to any group';
}
