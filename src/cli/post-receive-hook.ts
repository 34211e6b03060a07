/** The hook of a bare repository that tells Kiln of pushes. It only says what moved: a push never waits for a pipeline. */
import { access, chmod, chown, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { KilnError } from '../domain/errors.ts';
import { isMissing } from '../files/system-error.ts';

const SIGN = '# Written by: kiln pipeline hook';

/** Ref names hold neither spaces nor backslashes; those with a quote are left to whoever looks at the repository. */
export function hookScript(serverUrl: string, source: string): string {
  return `#!/bin/sh
${SIGN}
# Tells Kiln what was pushed. A push never fails because of it.
moves=
while read -r before after ref; do
  case "$ref" in *\\"*) continue ;; refs/heads/* | refs/tags/*) ;; *) continue ;; esac
  moves="$moves\${moves:+,}{\\"before\\":\\"$before\\",\\"after\\":\\"$after\\",\\"ref\\":\\"$ref\\"}"
done
[ -n "$moves" ] || exit 0
printf '{"moves":[%s]}' "$moves" |
  curl --silent --show-error --fail --max-time 10 --output /dev/null --header @"$(dirname "$0")/kiln-token" \\
    --header 'content-type: application/json' --data-binary @- '${serverUrl}/api/v1/sources/${source}/pushes' ||
  echo 'Kiln could not be told of this push.' >&2
exit 0
`;
}

/** For whoever owns the repository. Fails where there is another hook. */
export async function installHook(
  repository: string,
  script: string,
  newToken: () => Promise<string>,
): Promise<{ readonly file: string }> {
  const hooks = path.join(repository, 'hooks');
  const file = path.join(hooks, 'post-receive');
  try {
    await access(hooks);
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new KilnError('input.invalid', `${repository} is not a bare repository with a folder of hooks.`, {
      cause: error,
      next: 'Name the bare repository that is pushed to, on this machine.',
    });
  }
  const there = await readIfAny(file);
  if (there !== undefined && !there.includes(SIGN)) {
    throw new KilnError('input.conflict', `${file} is there already, and is not Kiln’s.`, {
      next: 'Put what `kiln pipeline hook SOURCE` prints at its end.',
    });
  }
  const { uid, gid } = await stat(repository);
  const token = path.join(hooks, 'kiln-token');
  await writeFile(token, `Authorization: Bearer ${await newToken()}\n`, { mode: 0o600 });
  await writeFile(file, script, { mode: 0o755 });
  await chmod(token, 0o600);
  await chmod(file, 0o755);
  if (process.getuid?.() === 0) for (const one of [token, file]) await chown(one, uid, gid);
  return { file };
}

async function readIfAny(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
