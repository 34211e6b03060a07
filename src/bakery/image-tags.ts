/** An image's shipping manifest. Pure. Tags belong to the image and never touch its artifact's digest. */
import type { RebakeSpec } from '../domain/component.ts';
import type { ComponentName } from '../domain/ids.ts';
import type { Image } from '../domain/image.ts';
import type { Tags } from '../domain/image-tags.ts';
import type { GitFacts } from './git-facts.ts';

export interface TagFacts {
  readonly component: ComponentName;
  readonly version: string;
  readonly git: GitFacts | undefined;
  readonly createdAtMs: number;
  readonly builtBy: string;
  readonly parent: Pick<Image, 'id' | 'component' | 'version'> | undefined;
  /** Of the component's file, and of whoever bakes, which come over those. */
  readonly given?: Tags | undefined;
  readonly rebake?: RebakeSpec | undefined;
  /** The image whose source was baked once more. */
  readonly again?: Pick<Image, 'id'> | undefined;
}

export function imageTags(facts: TagFacts): Record<string, string> {
  const { git, parent, rebake, again } = facts;
  return {
    ...facts.given,
    component: facts.component,
    version: facts.version,
    'created-at': new Date(facts.createdAtMs).toISOString(),
    'built-by': facts.builtBy,
    ...(git?.sha === undefined ? {} : { 'git.sha': git.sha }),
    ...(git?.committedAt === undefined ? {} : { 'git.committed-at': git.committedAt }),
    ...(git === undefined ? {} : { 'git.dirty': String(git.dirty) }),
    ...(git?.repository === undefined ? {} : { repository: git.repository }),
    ...(parent === undefined ? {} : { parent: parent.id, ancestor: `${parent.component} ${parent.version}` }),
    ...(rebake === undefined ? {} : { rebake: 'on-base-change' }),
    ...(again === undefined ? {} : { 'rebake-of': again.id }),
  };
}
