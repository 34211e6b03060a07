/** Logs of builds are kept for reading after a failure; only the newest. */
import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';

const LOGS_KEPT = 50;

export async function removeOldLogs(folder: string): Promise<void> {
  const logs = await Promise.all(
    (await readdir(folder)).map(async (name) => {
      const file = path.join(folder, name);
      return { file, mtimeMs: (await stat(file)).mtimeMs };
    }),
  );
  const old = logs.toSorted((a, b) => b.mtimeMs - a.mtimeMs).slice(LOGS_KEPT);
  for (const { file } of old) await rm(file, { force: true });
}
