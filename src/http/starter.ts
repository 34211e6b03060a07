import type { Starter } from '../pipeline/pipelines.ts';
import type { Caller } from './operations.ts';
import { present } from './views.ts';

/** Whoever calls, as pipelines know them: what they begin may do no more than they may. */
export function starterOf({ actor, attempt }: Caller): Starter {
  const { name, role, environments } = actor;
  return { actor: name, rights: { role, environments }, ...present({ attempt }) };
}
