/** The catalogue: images found by a query, newest first unless it says otherwise. */
import type { Answer } from '../../src/api/contract.ts';
import { useLoaded } from '../live.ts';
import { Shown } from '../parts/shown.tsx';
import { sizeText } from '../parts/size.ts';
import { Ago } from '../parts/time.tsx';
import { placeOf } from '../place.ts';

type Image = Answer<'images.get'>;

/** `query`: out of the address, so that a question can be kept and passed on. */
export function Images({ query }: { query: string }) {
  const loaded = useLoaded(`images ${query}`, (client, signal) =>
    client.call('images.list', { query: query === '' ? {} : { query } }, { signal }),
  );
  return (
    <>
      <form
        class="search"
        onSubmit={(event) => {
          event.preventDefault();
          const asked = String(new FormData(event.currentTarget).get('query') ?? '').trim();
          location.hash = asked === '' ? placeOf('images') : placeOf('images', 'find', asked);
        }}
      >
        <input
          type="search"
          name="query"
          aria-label="Query"
          key={query}
          defaultValue={query}
          placeholder="storefront version>=1.4 tested=true order=-version"
        />
        <button type="submit">Find</button>
      </form>
      <p class="hint">
        Try <Example query="tested=true channel=golden" />, <Example query="outdated=true" /> or{' '}
        <Example query="kind=machine arch=amd64 order=oldest" />. All words must hold; any tag may be asked
        for.
      </p>
      <Shown loaded={loaded}>
        {({ items, cursor }) => (
          <>
            <ImageTable images={items} />
            {cursor !== undefined && <p class="hint">There are more: ask for less.</p>}
          </>
        )}
      </Shown>
    </>
  );
}

function Example({ query }: { query: string }) {
  return (
    <a class="example" href={placeOf('images', 'find', query)}>
      {query}
    </a>
  );
}

function ImageTable({ images }: { images: readonly Image[] }) {
  if (images.length === 0) return <p class="empty">No image fits.</p>;
  return (
    <table>
      <thead>
        <tr>
          <th>Component</th>
          <th>Version</th>
          <th>Channels</th>
          <th>Checks</th>
          <th>Source</th>
          <th class="number">Size</th>
          <th>Baked</th>
        </tr>
      </thead>
      <tbody>
        {images.map((image) => (
          <tr key={image.id}>
            <td>{image.component}</td>
            <td>
              <a href={placeOf('images', image.id)}>{image.version}</a>
            </td>
            <td>
              {image.channels.map((channel) => (
                <span class="tag" key={channel}>
                  {channel}
                </span>
              ))}
            </td>
            <td>
              <Fitness image={image} />
            </td>
            <td>
              <code>{(image.tags['git.sha'] ?? '').slice(0, 9)}</code>
            </td>
            <td class="number">
              {sizeText(image.artifacts.reduce((sum, artifact) => sum + artifact.sizeBytes, 0))}
            </td>
            <td>
              <Ago atMs={image.createdAtMs} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function Fitness({ image }: { image: Image }) {
  return (
    <>
      <Verdict image={image} />{' '}
      {image.outdated && image.revoked === undefined && <span class="state starting">outdated</span>}
    </>
  );
}

function Verdict({ image }: { image: Image }) {
  if (image.state === 'untested') return <span class="state">not checked</span>;
  return <span class={`state ${image.state === 'tested' ? 'ready' : 'failed'}`}>{image.state}</span>;
}
