/** A question to the catalogue, as the query language (`catalog/query-language.ts`) says it and the store answers it. */

/** What an image is asked for beside its tags. */
export const IMAGE_FIELDS = [
  'component',
  'version',
  'id',
  'digest',
  'reference',
  'parent',
  'base',
  'channel',
  'tested',
  'failed',
  'revoked',
  'outdated',
] as const;

/** Asked of one artifact together: `region=us-east-1 arch=amd64` is an artifact that is both. */
export const ARTIFACT_FIELDS = ['kind', 'provider', 'region', 'arch'] as const;

export type ImageField = (typeof IMAGE_FIELDS)[number];
export type ArtifactField = (typeof ARTIFACT_FIELDS)[number];

/** Stands for any value: the image has one. */
export const ANY_VALUE = '*';

/** One of these values; negated: none of them. */
interface Values {
  readonly values: readonly string[];
  readonly negated: boolean;
}

export type Condition = Values &
  (
    | { readonly on: 'field'; readonly field: ImageField }
    | { readonly on: 'artifact'; readonly field: ArtifactField }
    | { readonly on: 'tag'; readonly key: string }
  );

export interface VersionBound {
  readonly operator: '>' | '>=' | '<' | '<=';
  readonly version: string;
}

export type ImageOrder = 'newest' | 'oldest' | 'version' | '-version';

export interface ImageQuery {
  /** All hold. */
  readonly conditions: readonly Condition[];
  /** All hold; only together with one component, since versions compare within one. */
  readonly versions: readonly VersionBound[];
  readonly order: ImageOrder;
  readonly limit?: number;
}

/** The one component that the query is about, where it is about one. */
export function componentOf(query: ImageQuery): string | undefined {
  const named = query.conditions.find(
    (one) => one.on === 'field' && one.field === 'component' && !one.negated,
  );
  const [only, another] = named?.values ?? [];
  return another === undefined && only !== ANY_VALUE ? only : undefined;
}
