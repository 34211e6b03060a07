/** A root filesystem that is just large enough for a scanner to run in: programs of this machine with their libraries. */
import { execFileSync } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { writeTree } from '../e2e/bake-fixture.ts';

const PROGRAMS =
  'sh bash cat ls find stat id whoami uname date ps readlink rm mkdir touch chmod wc expr test sort uniq cut head tail tr sed grep egrep awk dirname basename env df du printf true false sleep mktemp tty who last hostname md5sum sha256sum cp mv ln xargs tee nl chown'.split(
    ' ',
  );

export async function writeSmallRoot(folder: string, programs: readonly string[] = PROGRAMS): Promise<void> {
  for (const name of programs) {
    const program = locate(name);
    if (program === undefined) continue;
    await put(folder, program, `/usr/bin/${name}`);
    for (const library of librariesOf(program)) await put(folder, library, library);
    if (name === 'sh' || name === 'bash') await put(folder, program, `/bin/${name}`);
  }
  await writeTree(folder, {
    'etc/os-release':
      'ID=kilntest\nNAME="Kiln Test Image"\nPRETTY_NAME="Kiln Test Image 7"\nVERSION_ID="7"\n',
    'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\n',
    'etc/group': 'root:x:0:\n',
    'etc/ssh/sshd_config': 'PermitRootLogin yes\n',
    'root/.keep': '',
    'var/.keep': '',
  });
}

function locate(name: string): string | undefined {
  try {
    const found = execFileSync('/bin/sh', ['-c', 'command -v -- "$1"', 'sh', name], {
      encoding: 'utf8',
    }).trim();
    return found.startsWith('/') ? realpathSync(found) : `/usr/bin/${name}`;
  } catch {
    // Not on this machine: the scanner does without.
    return undefined;
  }
}

function librariesOf(program: string): string[] {
  try {
    const listed = execFileSync('ldd', [program], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return [...listed.matchAll(/(?:=> )?(\/\S+) \(0x/g)].flatMap(([, library]) => library ?? []);
  } catch {
    // A script, or linked into one file.
    return [];
  }
}

async function put(folder: string, from: string, to: string): Promise<void> {
  const file = path.join(folder, to);
  await mkdir(path.dirname(file), { recursive: true });
  await copyFile(realpathSync(from), file);
}
