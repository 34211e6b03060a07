import { access, chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { removeTree } from './unpacked-images.ts';

/** For root nothing is read-only: only an ordinary user's run shows it. */
it('a tree goes though folders in it are read-only, while the rest of it is being removed already', async () => {
  for (let round = 0; round < 20; round += 1) {
    const root = await mkdtemp(path.join(tmpdir(), 'kiln-tree-'));
    for (let branch = 0; branch < 12; branch += 1) {
      const folders = ['a', 'a/b', 'a/b/c'].map((place) => path.join(root, String(branch), place));
      for (const folder of folders) {
        await mkdir(folder, { recursive: true });
        await writeFile(path.join(folder, 'file'), '');
      }
      await chmod(folders[branch % 3] ?? root, 0o500);
    }
    await removeTree(root);
    await expect(access(root)).rejects.toMatchObject({ code: 'ENOENT' });
  }
});
