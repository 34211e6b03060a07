/** Brings the source of a command: a folder is copied, a git repository checked out. */
import { cp, mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { asKilnError } from '../../domain/errors.ts';
import { isMissing } from '../../files/system-error.ts';
import type { Checkout } from '../checkout/checkout.ts';
import { TaskFailed } from '../task.ts';
import type { CommandWish } from './command-wish.ts';

const CHECKOUT_LIMIT_MS = 30 * 60_000;

export type SourceWish = Pick<CommandWish, 'source' | 'commit' | 'checkout'>;

export interface CommandSources {
  /** Makes the folder, and says what is in it now. Fails with `Cmd.Source`. */
  bring(wish: SourceWish, folder: string, signal: AbortSignal): Promise<string | undefined>;
}

/** What this machine has or reaches by itself, with the keys and credential helpers of Kiln's own user. */
export class Sources implements CommandSources {
  readonly #checkout: Checkout;

  constructor(checkout: Checkout) {
    this.#checkout = checkout;
  }

  async bring(wish: SourceWish, folder: string, signal: AbortSignal): Promise<string | undefined> {
    const copied = await copiedFolder(wish);
    if (copied !== undefined) await cp(copied, folder, { recursive: true, verbatimSymlinks: true });
    else if (wish.source === undefined) await mkdir(folder);
    else return this.#checkedOut(wish.source, wish, folder, signal);
    return undefined;
  }

  async #checkedOut(
    repository: string,
    { commit: given, checkout: options }: SourceWish,
    folder: string,
    signal: AbortSignal,
  ): Promise<string> {
    const { mirrors } = this.#checkout;
    const limited = AbortSignal.any([signal, AbortSignal.timeout(CHECKOUT_LIMIT_MS)]);
    try {
      const commit = await this.#checkout.commitOf(repository, given, limited);
      // Whole, whatever the depth: other executions have their commits from it, too.
      const mirror = await mirrors.holding(repository, { commit }, undefined, limited);
      await this.#checkout.into(folder, { repository, commit, options }, limited, mirror);
      return `${repository} at ${commit}`;
    } catch (thrown) {
      signal.throwIfAborted();
      const { message, next } = asKilnError(thrown);
      throw new TaskFailed('Cmd.Source', [message, next].filter(Boolean).join('\n'));
    }
  }
}

/** The folder that is the source as it is; undefined: the source is a repository, or there is none. */
export async function copiedFolder({ source, commit }: SourceWish): Promise<string | undefined> {
  if (source === undefined || commit !== undefined || !path.isAbsolute(source)) return undefined;
  try {
    return (await stat(source)).isDirectory() ? source : undefined;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
