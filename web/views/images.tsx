/** The catalogue: every image, newest first. */
import { useState } from 'preact/hooks';
import type { Answer } from '../../src/api/contract.ts';
import { useLoaded } from '../live.ts';
import { Shown } from '../parts/shown.tsx';
import { sizeText } from '../parts/size.ts';
import { Ago } from '../parts/time.tsx';
import { placeOf } from '../place.ts';

type Image = Answer<'images.get'>;

export function Images() {
  const [component, setComponent] = useState('');
  const loaded = useLoaded(`images ${component}`, (client, signal) =>
    client.call(
      'images.list',
      { query: { ...(component === '' ? {} : { component }), limit: 100 } },
      { signal },
    ),
  );
  return (
    <>
      <input
        class="search"
        type="search"
        placeholder="component"
        aria-label="Component"
        value={component}
        onChange={(event) => setComponent(event.currentTarget.value.trim())}
      />
      <Shown loaded={loaded}>{({ items }) => <ImageTable images={items} />}</Shown>
    </>
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
  if (image.revoked !== undefined) return <span class="state failed">revoked</span>;
  if (image.checks.length === 0) return <span class="state starting">not checked</span>;
  return image.tested ? <span class="state ready">tested</span> : <span class="state failed">failed</span>;
}
