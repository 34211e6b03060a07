/** A commit of a repository with the files of its pipeline, by the server's own mirror. */

import type { CommitFacts, Mirror, Mirrors } from '../checkout/mirrors.ts';
import { remoteRefs } from '../checkout/remote-refs.ts';
import { pipelineFiles } from '../pipeline-files.ts';
import { pathWithin } from './source-folder.ts';

export interface PipelinePlace {
  readonly url: string;
  /** In the repository; empty: its root. */
  readonly directory: string;
  readonly file?: string | undefined;
}

export interface CommitFound {
  readonly mirror: Mirror;
  readonly facts: CommitFacts;
  /** Of its pipeline, in the order of `pipelineFiles`, and then of `more`. */
  readonly texts: readonly (string | undefined)[];
}

/** Undefined: the mirror has no such commit. */
export async function commitIn(
  mirror: Mirror,
  { directory, file }: PipelinePlace,
  commit: string,
  signal: AbortSignal,
  more: readonly string[] = [],
): Promise<CommitFound | undefined> {
  const files = [...pipelineFiles(file), ...more].map((name) => pathWithin(directory, name));
  const found = await mirror.look(commit, files, signal);
  return found && { mirror, ...found };
}

/** Fetches first; undefined: the repository has no branch, tag or commit of that name. */
export async function commitAt(
  mirrors: Mirrors,
  place: PipelinePlace & { readonly at: string },
  depth: number | undefined,
  signal: AbortSignal,
  more: readonly string[] = [],
): Promise<CommitFound | undefined> {
  const mirror = await mirrors.fresh(place.url, depth, signal);
  const commit = await mirror.resolve(place.at, signal);
  return commit === undefined ? undefined : commitIn(mirror, place, commit, signal, more);
}

/** The branch that the repository's HEAD names. */
export async function defaultBranch(mirrors: Mirrors, url: string, signal: AbortSignal): Promise<string> {
  return (await remoteRefs(mirrors.git, url, signal)).defaultBranch ?? 'main';
}
