import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KilnError } from '../domain/errors.ts';
import { ATTACHMENT_LIMIT_BYTES } from './attachments.ts';
import { readComponent } from './read.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'kiln-read-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const SHOP = `component: shop
service: {run: ./shop}
checks: [checks/smoke.yaml]
config: {files: [{template: app.liquid, path: app.json}]}
environments: {stage/uk: {checks: [checks/stage.yaml]}}
`;

async function write(files: Record<string, string | Uint8Array>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(directory, name)), { recursive: true });
    await writeFile(path.join(directory, name), content);
  }
}

async function failure(): Promise<KilnError> {
  try {
    await readComponent(directory);
  } catch (error) {
    if (error instanceof KilnError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

test('the definition stands alone: it holds every template and check that any environment names', async () => {
  await write({ 'kiln.yaml': SHOP, 'checks/smoke.yaml': 'a', 'checks/stage.yaml': 'b', 'app.liquid': 'ü' });
  const { definition, text } = await readComponent(directory);
  expect(text).toBe(SHOP);
  expect(definition.attachments).toEqual({
    'app.liquid': 'ü',
    'checks/smoke.yaml': 'a',
    'checks/stage.yaml': 'b',
  });
});

test('no file: the error says what writes one', async () => {
  const error = await failure();
  expect(error.code).toBe('component-file.missing');
  expect(error.next).toContain('kiln init');
});

test('every file that is missing or does not fit is named in its line', async () => {
  await write({ 'kiln.yaml': SHOP, 'checks/smoke.yaml': 'x'.repeat(ATTACHMENT_LIMIT_BYTES + 1) });
  await write({ 'app.liquid': Uint8Array.of(0xff, 0xfe, 0xfd) });
  const error = await failure();
  expect(error.code).toBe('component-file.invalid');
  expect(error.faults.map(({ message, location }) => [location?.line, message])).toEqual([
    [3, 'checks/smoke.yaml is too large'],
    [4, 'app.liquid is not text'],
    [5, 'there is no file checks/stage.yaml'],
  ]);
});

test('a link out of the folder is not followed, one within it is', async () => {
  await write({
    'kiln.yaml': 'component: shop\nservice: {run: x}\nchecks: [in.yaml, out.yaml, loop.yaml]\n',
    'real.yaml': 'r',
  });
  await symlink('real.yaml', path.join(directory, 'in.yaml'));
  await symlink('/etc/hostname', path.join(directory, 'out.yaml'));
  await symlink('loop.yaml', path.join(directory, 'loop.yaml'));
  const error = await failure();
  expect(error.faults.map(({ message }) => message)).toEqual([
    "out.yaml leads out of the component's folder",
    'there is no file loop.yaml',
  ]);
});

test('a folder or a huge file in place of kiln.yaml', async () => {
  await mkdir(path.join(directory, 'kiln.yaml'));
  expect((await failure()).code).toBe('component-file.invalid');
  await rm(path.join(directory, 'kiln.yaml'), { recursive: true });
  await write({ 'kiln.yaml': `# ${'x'.repeat(300_000)}` });
  expect((await failure()).message).toContain('larger than 256 KiB');
});
