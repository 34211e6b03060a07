/** Under which words an image stands in the index. Pure; what is not here cannot be asked for. */

import { baseReference } from '../../domain/component.ts';
import { type Artifact, type Image, isStored } from '../../domain/image.ts';
import { ARTIFACT_FIELDS, type ArtifactField } from '../../domain/image-query.ts';
import { versionKey } from '../../domain/version-order.ts';

/** Every image. */
export const ALL = 'all';
export const TESTED = 'tested';
export const FAILED = 'failed';
export const REVOKED = 'revoked';
export const OUTDATED = 'outdated';

const LONGEST_VALUE = 200;

export type ArtifactWish = Partial<Record<ArtifactField, string>>;
export type NewImage = Omit<Image, 'checks' | 'revoked'>;

export function fieldTerm(field: string, value: string): string {
  return `${field}=${field === 'version' ? versionKey(value) : value}`;
}

export function anyTerm(field: string): string {
  return `any=${field}`;
}

export function tagTerm(key: string, value: string): string {
  return `tag.${key}=${value}`;
}

export function anyTagTerm(key: string): string {
  return `any=tag.${key}`;
}

/** The children of one image by one base: an image's number, and `component@channel`. */
export function edgeTerm(parent: number, base: string): string {
  return `edge=${parent} ${base}`;
}

/** One artifact that is all of this. */
export function artifactTerm(wish: ArtifactWish): string {
  const named = ARTIFACT_FIELDS.flatMap((field) => {
    const value = wish[field];
    return value === undefined ? [] : [`${field}:${value}`];
  });
  return `artifact=${named.join(' ')}`;
}

/** `component@channel` that the image was baked from. */
export function baseOf(image: NewImage): string | undefined {
  return image.parent === undefined ? undefined : baseReference(image.definition.image);
}

export function termsOf(image: NewImage): ReadonlySet<string> {
  const terms = new Set([ALL, fieldTerm('component', image.component), fieldTerm('version', image.version)]);
  const base = baseOf(image);
  if (base !== undefined) terms.add(fieldTerm('base', base));
  if (image.parent !== undefined) terms.add(anyTerm('parent'));
  for (const [key, value] of Object.entries(image.tags)) {
    terms.add(anyTagTerm(key));
    if (value.length <= LONGEST_VALUE) terms.add(tagTerm(key, value));
  }
  for (const artifact of image.artifacts) {
    for (const wish of wishesMetBy(artifact)) terms.add(artifactTerm(wish));
    for (const field of ARTIFACT_FIELDS) if (artifact[field] !== undefined) terms.add(anyTerm(field));
    if (!isStored(artifact)) terms.add(fieldTerm('reference', artifact.reference));
  }
  return terms;
}

/** Every choice of at least one of its fields: fifteen at most. */
function wishesMetBy(artifact: Artifact): readonly ArtifactWish[] {
  let wishes: ArtifactWish[] = [{}];
  for (const field of ARTIFACT_FIELDS) {
    const value = artifact[field];
    if (value !== undefined) wishes = wishes.flatMap((wish) => [wish, { ...wish, [field]: value }]);
  }
  return wishes.filter((wish) => Object.keys(wish).length > 0);
}
