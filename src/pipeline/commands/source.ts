/** Brings the source into a workspace: a folder is copied, a git repository checked out. */
import { cp, mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { TaskFailed } from '../task.ts';
import type { CommandWish } from './command-wish.ts';
import type { Workspace } from './workspace.ts';

const CHECKOUT_LIMIT_MS = 10 * 60_000;

/** Runs a program outside the sandbox, which the server's own git needs; its exit code. */
export type RunGit = (argv: readonly string[], signal: AbortSignal) => Promise<number>;

/** Fails with `Cmd.Source`. */
export async function bringSource(
  { source, commit }: Pick<CommandWish, 'source' | 'commit'>,
  { app }: Workspace,
  runGit: RunGit,
  signal: AbortSignal,
): Promise<void> {
  if (source === undefined) {
    await mkdir(app);
    return;
  }
  const isFolder = path.isAbsolute(source) && (await stat(source).catch(() => undefined))?.isDirectory();
  if (isFolder && commit === undefined) {
    await cp(source, app, { recursive: true, verbatimSymlinks: true });
    return;
  }
  const limited = AbortSignal.any([signal, AbortSignal.timeout(CHECKOUT_LIMIT_MS)]);
  const depth = commit === undefined ? ['--depth=1'] : [];
  const clone = ['git', 'clone', '--quiet', ...depth, '--', source, app];
  const checkout = ['git', '-C', app, 'checkout', '--quiet', '--detach', commit ?? 'HEAD'];
  for (const argv of [clone, checkout]) {
    if ((await runGit(argv, limited)) !== 0)
      throw new TaskFailed('Cmd.Source', `${source} could not be checked out.`);
  }
}
