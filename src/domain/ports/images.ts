import type { Change } from '../change.ts';
import type { ComponentName, Digest, ImageId } from '../ids.ts';
import type { CheckResult, Image } from '../image.ts';
import type { TagChanges } from '../image-tags.ts';
import type { Page, PageRequest } from '../page.ts';

export interface ImageStore {
  /** Fails with `input.conflict` when the component has this version already. */
  create(image: Omit<Image, 'checks' | 'revoked'>, change: Change): Promise<Image>;
  get(id: ImageId): Promise<Image | undefined>;
  /** The newest image of this version, or of this input key. */
  byVersion(component: ComponentName, version: string): Promise<Image | undefined>;
  byInputKey(component: ComponentName, inputKey: Digest): Promise<Image | undefined>;
  /** Newest first. */
  list(filter: { component?: ComponentName }, page: PageRequest): Promise<Page<Image>>;
  recordCheck(id: ImageId, result: CheckResult, change: Change): Promise<void>;
  /**
   * Gives it tags and takes some away, and answers it as it is then; `expires=never` pins it. Fails with
   * `input.invalid` on a tag that Kiln sets itself, or one that could not be asked for.
   */
  tag(id: ImageId, changes: TagChanges, change: Change): Promise<Image>;
  /**
   * Marks it unfit, and all that was baked from it, in one transaction; answers those that were not before. From then
   * on no release, deployment or move of a channel takes one of them: they fail with `image.unfit`.
   */
  revoke(id: ImageId, why: string, change: Change): Promise<readonly ImageId[]>;
  /**
   * That it is, or is about to be, in a registry as `HOST/NAME@sha256:…`: known already is fine. When the image is
   * swept the copy is listed among its artifacts, of provider `registry`.
   */
  recordCopy(id: ImageId, reference: string, change: Change): Promise<void>;
  /** Artifact digests of all images. */
  artifacts(): Promise<readonly Digest[]>;
}
