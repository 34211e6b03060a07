import type { Bakery } from '../bakery/bakery.ts';
import type { BakeryPart } from './parts.ts';

/** The bakery is its own part: `views.ts` says how the API shows a bake. */
export function bakeryPart(bakery: Bakery): BakeryPart {
  return bakery;
}
