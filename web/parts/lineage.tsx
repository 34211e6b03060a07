/** What an image was baked from, up to the first one, and what was baked from it, as one tree. */
import type { Answer } from '../../src/api/contract.ts';
import { useLoaded } from '../live.ts';
import { placeOf } from '../place.ts';
import { Shown } from './shown.tsx';
import { Ago } from './time.tsx';

type Lineage = Answer<'images.lineage'>;
type Relative = Lineage['image'];

export function LineageTree({ reference }: { reference: string }) {
  const loaded = useLoaded(`lineage ${reference}`, (client, signal) =>
    client.call('images.lineage', { params: { reference } }, { signal }),
  );
  return (
    <section class="card">
      <h3>Lineage</h3>
      <Shown loaded={loaded}>{(lineage) => <Tree lineage={lineage} />}</Shown>
    </section>
  );
}

function Tree({ lineage: { ancestors, image, descendants, cut } }: { lineage: Lineage }) {
  const above = ancestors.toReversed();
  const depth = above.length;
  const lines = [
    ...above.map((one, at) => ({ one, depth: at })),
    { one: image, depth },
    ...descendants.map((one) => ({ one: one.image, depth: depth + one.depth })),
  ];
  return (
    <ol class="lineage">
      {lines.map(({ one, depth: at }) => (
        <li key={one.id} class={one.id === image.id ? 'here' : ''} style={{ '--depth': String(at) }}>
          <Line one={one} here={one.id === image.id} />
        </li>
      ))}
      {cut && <li class="faint">…and more: kiln images parent={image.id}</li>}
    </ol>
  );
}

function Line({ one, here }: { one: Relative; here: boolean }) {
  const name = `${one.component} ${one.version}`;
  return (
    <>
      {here ? <b>{name}</b> : <a href={placeOf('images', one.id)}>{name}</a>}
      {one.channels.map((channel) => (
        <span class="tag" key={channel}>
          {channel}
        </span>
      ))}
      <RelativeState one={one} />
      <small>
        {one.base !== undefined && <>from {one.base}, </>}
        <Ago atMs={one.createdAtMs} />
      </small>
    </>
  );
}

function RelativeState({ one }: { one: Relative }) {
  if (one.revoked) return <span class="state failed">revoked</span>;
  if (!one.outdated) return null;
  return (
    <span
      class="state starting"
      title={one.follows ? 'it is baked again by itself' : 'its base has moved on'}
    >
      outdated
    </span>
  );
}
