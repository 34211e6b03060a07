/** Every verb, in the order of `--help`. Its module is loaded only when it is called. */
import { FROM_SOURCE } from './verb-table/from-source.ts';
import { IMAGES } from './verb-table/images.ts';
import { PIPELINES } from './verb-table/pipelines.ts';
import { RELEASES } from './verb-table/releases.ts';
import { UPKEEP } from './verb-table/upkeep.ts';
import type { VerbEntry } from './verb-table/verb-entry.ts';

export const VERBS: readonly VerbEntry[] = [...FROM_SOURCE, ...PIPELINES, ...IMAGES, ...RELEASES, ...UPKEEP];
