/** What `git ls-remote` tells of a repository. */
import type { RefHead } from '../../domain/ports/triggers.ts';
import type { Git } from './git.ts';
import { repositoryUrl } from './repository-url.ts';

const LIMIT_MS = 60_000;

export interface RemoteRefs {
  /** Branches and tags; an annotated tag stands at itself, not at its commit. */
  readonly heads: readonly RefHead[];
  /** The branch that HEAD names; undefined: none, as in an empty repository. */
  readonly defaultBranch?: string;
}

export async function remoteRefs(git: Git, address: string, signal: AbortSignal): Promise<RemoteRefs> {
  const { url, protocol } = repositoryUrl(address);
  const argv = ['ls-remote', '--symref', '--', url, 'HEAD', 'refs/heads/*', 'refs/tags/*'];
  return parseRefs(await git.run({ argv, protocol, limitMs: LIMIT_MS }, signal));
}

/** Pure. */
function parseRefs(text: string): RemoteRefs {
  const [, defaultBranch] = /^ref: refs\/heads\/(\S+)\tHEAD$/m.exec(text) ?? [];
  const heads = [...text.matchAll(/^([0-9a-f]{40,64})\t(refs\/(?:heads|tags)\/\S+)$/gm)].flatMap(
    ([, commit = '', ref = '']) => (ref.endsWith('^{}') ? [] : [{ ref, commit }]),
  );
  return { heads, ...(defaultBranch !== undefined && { defaultBranch }) };
}
