/** Folders that executions have to themselves, with their source checked out at the exact commit. */
import { mkdir, readdir, realpath, rm } from 'node:fs/promises';
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
   * Checked out afresh: what a crash has left of it is removed first. Its path ends with the repository's name, which
   * a pipeline without a component is called by.
   */
  async make(name: string, wish: CheckoutWish, signal: AbortSignal, held?: Mirror): Promise<string> {
    const folder = this.#folder(name);
    const into = path.join(folder, nameOf(wish.repository));
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await this.#checkout.into(into, wish, signal, held);
    return into;
  }

  async isThere(name: string): Promise<boolean> {
    return isThere(this.#folder(name));
  }

  async remove(name: string): Promise<void> {
    await rm(this.#folder(name), { recursive: true, force: true });
  }

  async names(): Promise<readonly string[]> {
    try {
      return await readdir(this.#directory);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  #folder(name: string): string {
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
