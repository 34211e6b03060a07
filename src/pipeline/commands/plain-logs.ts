/** A file for each task, masked: where nothing better keeps logs, such as on a worker. */
import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import type { TaskLog, TaskLogs } from '../../domain/ports/task-log.ts';
import { Mask } from './mask.ts';

const TAIL_BYTES = 64 * 1024;

export function plainLogs(folder: string): TaskLogs {
  return {
    async open({ key, secrets }): Promise<TaskLog> {
      const file = path.join(folder, `${key}.log`);
      await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
      const handle = await open(file, 'a', 0o600);
      const mask = new Mask(secrets);
      let tail: Buffer = Buffer.alloc(0);
      const keep = async (bytes: Buffer): Promise<void> => {
        tail = Buffer.concat([tail, bytes]).subarray(-TAIL_BYTES);
        await handle.write(bytes);
      };
      return {
        write: (bytes) => keep(mask.take(bytes)),
        group: async (title) => keep(Buffer.from(`${mask.end().toString('latin1')}$ ${title}\n`, 'latin1')),
        async tail(limitBytes) {
          await keep(mask.end());
          return tail.subarray(-limitBytes).toString('utf8');
        },
        async close() {
          await keep(mask.end());
          await handle.close();
        },
      };
    },
  };
}
