/** Folders that executions have to themselves, with their source checked out at the exact commit. */
import { mkdir, readdir, realpath, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';
import { isMissing } from '../../files/system-error.ts';
import { type Checkout, type CheckoutWish, isThere } from './checkout.ts';
import type { Mirror } from './mirrors.ts';

export class Workspaces {
  readonly #checkout: Checkout;
  readonly #directory: string;

  constructor(checkout: Checkout, directory: string) {
    this.#checkout = checkout;
    this.#directory = directory;
  }

  /**
   * Checked out afresh, and there once it is whole: what a crash has left of it is removed first. Its path ends with the
   * repository's name, which a pipeline without a component is called by.
   */
  async make(name: string, wish: CheckoutWish, signal: AbortSignal, held?: Mirror): Promise<string> {
    const [folder, half] = [this.folder(name), `${this.folder(name)}.half`];
    const repository = nameOf(wish.repository);
    for (const before of [folder, half]) await rm(before, { recursive: true, force: true });
    await mkdir(half, { recursive: true, mode: 0o700 });
    await this.#checkout.into(path.join(half, repository), wish, signal, held);
    await rename(half, folder);
    return path.join(folder, repository);
  }

  async isThere(name: string): Promise<boolean> {
    return isThere(this.folder(name));
  }

  async remove(name: string): Promise<void> {
    for (const one of [this.folder(name), `${this.folder(name)}.half`])
      await rm(one, { recursive: true, force: true });
  }

  async names(): Promise<readonly string[]> {
    try {
      return await readdir(this.#directory);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  folder(name: string): string {
    return path.join(this.#directory, name);
  }
}

/** The last part of its address. */
function nameOf(repository: string): string {
  const [, last = ''] = /([^/:]+?)(?:\.git)?\/*$/.exec(repository) ?? [];
  return /^\w[\w.-]*$/.test(last) ? last : 'source';
}

/** A folder of the checkout, whose links lead nowhere else. */
export async function folderWithin(root: string, directory: string): Promise<string> {
  const whole = await realpath(root);
  const folder = await realpath(path.join(whole, directory)).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
    throw new KilnError('checkout.failed', `The commit has no folder ${directory}.`, {
      cause: error,
      next: 'Register the source anew with the folder that it is in now.',
    });
  });
  if (folder === whole || folder.startsWith(`${whole}${path.sep}`)) return folder;
  throw new KilnError('path.escapes', `${directory} leads out of the repository.`, {
    next: 'Name a folder of the repository that is no link.',
  });
}
