/** On what two images differ: size, tags, packages, files. */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Answer } from '../../src/api/contract.ts';
import { asKilnError } from '../../src/domain/errors.ts';
import { type Loaded, useLive } from '../live.ts';
import { FileChanges, Pairs } from '../parts/differences.tsx';
import { Shown } from '../parts/shown.tsx';
import { sizeText } from '../parts/size.ts';
import { placeOf } from '../place.ts';

type Diff = Answer<'images.diff'>;

export function ImageDiff({ from, to }: { from: string; to: string }) {
  const loaded = useDiff(from, to);
  return <Shown loaded={loaded}>{(diff) => <Differences diff={diff} />}</Shown>;
}

/** Asked for once: images do not change, and comparing them is work. */
function useDiff(from: string, to: string): Loaded<Diff> {
  const { client } = useLive();
  const [loaded, setLoaded] = useState<Loaded<Diff>>({ kind: 'loading' });
  useEffect(() => {
    const { signal, abort } = abortable();
    setLoaded({ kind: 'loading' });
    client.call('images.diff', { params: { reference: from }, query: { with: to } }, { signal }).then(
      (value) => setLoaded({ kind: 'ready', value }),
      (thrown: unknown) => {
        if (!signal.aborted) setLoaded({ kind: 'failed', error: asKilnError(thrown) });
      },
    );
    return abort;
  }, [client, from, to]);
  return loaded;
}

function abortable(): { readonly signal: AbortSignal; readonly abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}

function Differences({ diff }: { diff: Diff }) {
  const { from, to, sizeBytes, tags, packages, files } = diff;
  const grown = sizeBytes.to - sizeBytes.from;
  return (
    <>
      <h1>
        {to.component} <small>{from.version}</small> → <small>{to.version}</small>
      </h1>
      <p class="lead">
        <a href={placeOf('images', from.id)}>{from.version}</a>
        <span>
          {sizeText(sizeBytes.from)} → {sizeText(sizeBytes.to)} ({grown < 0 ? '−' : '+'}
          {sizeText(Math.abs(grown))})
        </span>
        <a href={placeOf('images', to.id)}>{to.version}</a>
      </p>
      <Part title="Packages" known={packages !== undefined} count={packages?.length ?? 0}>
        <Pairs items={packages ?? []} />
      </Part>
      <Part title="Tags" known count={tags.length}>
        <Pairs items={tags} />
      </Part>
      <Part title="Files" known={files !== undefined} count={files?.count ?? 0}>
        <FileChanges files={files?.items ?? []} />
        {files !== undefined && files.count > files.items.length && (
          <p class="hint">The first {files.items.length} are shown.</p>
        )}
      </Part>
    </>
  );
}

function Part(props: { title: string; known: boolean; count: number; children: ComponentChildren }) {
  const { title, known, count, children } = props;
  return (
    <section class="card">
      <h3>
        {title} <span class="faint">{known ? count : ''}</span>
      </h3>
      {!known && <p class="empty">Not known: one of the two is not kept as files here.</p>}
      {known && count === 0 && <p class="empty">No difference.</p>}
      {known && count > 0 && children}
    </section>
  );
}
