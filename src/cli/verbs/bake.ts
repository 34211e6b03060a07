import path from 'node:path';
import type { Client } from '../../api/client.ts';
import { EXIT } from '../../api/failures.ts';
import type { Tags } from '../../domain/image-tags.ts';
import { sizeText } from '../../domain/size-text.ts';
import { answer, type Context, hint, isSet, textFlag, textsFlag } from '../context.ts';
import { type Bake, bakeFailure, failed, untilEnded } from '../ended-work.ts';
import { readTags } from '../tags.ts';

export async function run(context: Context): Promise<number> {
  const directory = path.resolve(context.args[0] ?? '.');
  const verify = isSet(context.flags, 'verify');
  const client = context.client();
  const version = textFlag(context.flags, 'version');
  const tags = readTags(textsFlag(context.flags, 'tag'), '--tag');
  if (isSet(context.flags, 'detach')) {
    const begun = await start(context, client, { directory, version, verify, tags });
    return answer(context, begun, () => `bake ${begun.id} goes on in the server`);
  }
  const bake = await bakeFolder(context, client, { directory, version, verify, tags });
  const failure = bakeFailure(bake);
  if (failure !== undefined) return failed(context, failure);
  if ((bake.differences?.length ?? 0) > 0) return showDifferences(context, bake);
  const name = `${bake.image?.component}@${bake.image?.version}`;
  answer(context, bake, () => name);
  if (bake.image?.tested === false) hint(context, `next: kiln check ${name}`);
  return EXIT.ok;
}

interface BakeWish {
  readonly directory: string;
  readonly version: string | undefined;
  readonly verify: boolean;
  readonly tags?: Tags;
}

function start(context: Context, client: Client, wish: BakeWish): Promise<Bake> {
  const { directory, version, verify, tags = {} } = wish;
  const body = {
    directory,
    verify,
    ...(version === undefined ? {} : { version }),
    ...(Object.keys(tags).length === 0 ? {} : { tags }),
  };
  return client.call('bakes.start', { body }, { signal: context.signal });
}

/** Bakes to the end, saying what happens; the first Ctrl-C cancels it. */
export async function bakeFolder(context: Context, client: Client, wish: BakeWish): Promise<Bake> {
  const { progress, signal } = context;
  progress.begin(`baking ${wish.directory}`);
  const begun = await start(context, client, wish);
  const params = { id: begun.id };
  context.onInterrupt(async () => {
    await client.call('bakes.cancel', { params });
    return 'the bake was cancelled; it leaves no image';
  });
  if (!context.json) await showLog(context, client, begun.id);
  const bake = await untilEnded(
    begun,
    ({ state }) => state !== 'running',
    (wait) => client.call('bakes.get', { params, query: { wait } }, { signal }),
  );
  sayEnd(context, bake);
  return bake;
}

async function showLog(context: Context, client: Client, id: string): Promise<void> {
  const { progress, terminal, signal } = context;
  for await (const { event, data } of client.follow('bakes.log', { params: { id } }, { signal })) {
    if (event !== 'progress' || data === undefined) continue;
    const item: { kind: string; name?: string; detail?: string; line?: string } = JSON.parse(data);
    if (item.kind === 'stage') progress.update(`${item.name}: ${item.detail}`);
    else progress.line(terminal.colors.dim(`  │ ${item.line ?? ''}`));
  }
}

function sayEnd(context: Context, bake: Bake): void {
  const { progress } = context;
  if (bake.image === undefined) {
    progress.end('failed', `bake ${bake.state}`);
    return;
  }
  const { component, version, digest, sizeBytes } = bake.image;
  const facts = [digest?.slice(0, 19), sizeBytes === undefined ? undefined : sizeText(sizeBytes)];
  const name = `${component}@${version} (${facts.filter(Boolean).join(', ')})`;
  if (bake.state === 'unchanged') progress.end('same', `unchanged: ${name}`);
  else progress.end('done', `baked ${name}`);
}

function showDifferences(context: Context, bake: Bake): number {
  const { colors } = context.terminal;
  answer(context, bake, () =>
    [
      `${bake.differences?.length} files differ between two builds of the same input:`,
      ...(bake.differences ?? []).map(
        ({ path: file, change }) => `  ${colors.yellow(change.padEnd(8))} ${file}`,
      ),
    ].join('\n'),
  );
  hint(context, 'make the build reproducible: no clocks, random names or absolute paths in what it writes');
  return EXIT.negative;
}
