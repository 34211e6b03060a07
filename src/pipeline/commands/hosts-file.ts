/** Names of services as the sandbox knows them: the machine's own hosts file, and theirs. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readIfThere } from '../../files/durable-file.ts';

export async function hostsFile(root: string, addresses: ReadonlyMap<string, string>): Promise<string> {
  const file = path.join(root, 'hosts');
  const own = (await readIfThere('/etc/hosts')) ?? '127.0.0.1 localhost\n';
  const lines = [...addresses].map(([name, address]) => `${address} ${name}\n`);
  await writeFile(file, `${own}\n${lines.join('')}`, { mode: 0o644 });
  return file;
}
