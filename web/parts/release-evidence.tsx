/** What an approval shows of one image: what it replaces, what speaks for and against it, what it changes. */
import type { ComponentChildren } from 'preact';
import type { Answer } from '../../src/api/contract.ts';
import { placeOf } from '../place.ts';
import { CheckResults, Verdict } from './check-results.tsx';
import { FileChanges, Pairs } from './differences.tsx';
import { sizeText } from './size.ts';
import { Ago } from './time.tsx';

export type Evidence = NonNullable<Answer<'executions.get'>['waits'][number]['releases']>[number];
type Known = Extract<Evidence, { readonly known: true }>;
type Unknown = { readonly known: false; readonly why: string };

/** Longer lists are opened by whoever wants to see them. */
const MOST_OPEN = 12;
const COMMIT_LETTERS = 12;

export function ReleaseEvidence({ evidence }: { evidence: Evidence }) {
  if (!evidence.known) {
    return (
      <div class="evidence">
        <h4>{[evidence.asked.image, evidence.asked.environment].filter(Boolean).join(' → ')}</h4>
        <NotKnown why={evidence.why} />
      </div>
    );
  }
  return (
    <div class="evidence">
      <Head evidence={evidence} />
      {evidence.refused !== undefined && (
        <div class="problem" role="alert">
          <strong>A deployment would be refused:</strong> {evidence.refused}
        </div>
      )}
      <div class="columns">
        <Standing evidence={evidence} />
        <div>
          <Configuration evidence={evidence} />
          <Inside evidence={evidence} />
        </div>
      </div>
    </div>
  );
}

function Head({ evidence: { image, replaces } }: { evidence: Known }) {
  return (
    <>
      <h4>
        {image.component} <Version of={image} id={image.id} />
        {replaces.kind !== 'unasked' && <span>→ {replaces.environment}</span>}
        {replaces.kind === 'nothing' && <span class="tag">nothing runs there yet</span>}
      </h4>
      <p class="hint">
        {replaces.kind === 'release' && (
          <>
            replaces <Version of={replaces} id={replaces.image} /> of release {replaces.number}
            {replaces.stopped && ', which is stopped'}
            {replaces.image === image.id ? ', the same image' : ''} ·{' '}
            {replaces.sizeBytes !== undefined && `${sizeText(replaces.sizeBytes)} → `}
          </>
        )}
        {sizeText(image.sizeBytes)} · baked <Ago atMs={image.createdAtMs} />
      </p>
    </>
  );
}

function Version(props: {
  of: { readonly version: string; readonly commit?: string | undefined };
  id: string;
}) {
  const { version, commit } = props.of;
  return (
    <>
      <a href={placeOf('images', props.id)}>{version}</a>
      {commit !== undefined && (
        <>
          {' '}
          <code class="faint" title={commit}>
            {commit.slice(0, COMMIT_LETTERS)}
          </code>
        </>
      )}
    </>
  );
}

function Standing({ evidence: { checks, scan, channels } }: { evidence: Known }) {
  return (
    <div>
      <h5>Checks</h5>
      {checks.length === 0 ? <p class="warning">It was never checked.</p> : <CheckResults checks={checks} />}
      <h5>Scan</h5>
      <Scan scan={scan} />
      <h5>Channels</h5>
      <p>
        {channels.length === 0 && <span class="faint">None holds it.</span>}
        {channels.map((channel) => (
          <span class="tag" key={channel}>
            {channel}
          </span>
        ))}
      </p>
    </div>
  );
}

function Scan({ scan }: { scan: Known['scan'] }) {
  if (!scan.known) return <NotKnown why={scan.why} />;
  if (!scan.scanned) return <p class="faint">It was never scanned.</p>;
  const { passed, blocking, waived, noted, atMs } = scan;
  return (
    <>
      <p>
        <Verdict passed={passed} /> {blocking.count} not allowed, {waived} waived, {noted} noted,{' '}
        <Ago atMs={atMs} />
      </p>
      {blocking.items.map((line) => (
        <p class="problem" key={line}>
          {line}
        </p>
      ))}
    </>
  );
}

function Configuration({ evidence: { config, settings } }: { evidence: Known }) {
  return (
    <>
      {config !== undefined && (
        <>
          <h5>
            Configuration <small class="faint">keys, never values</small>
          </h5>
          {config.known ? <Keys config={config} /> : <NotKnown why={config.why} />}
        </>
      )}
      {settings !== undefined && (
        <>
          <h5>Settings</h5>
          {!settings.known && <NotKnown why={settings.why} />}
          {settings.known && settings.items.length === 0 && <p class="empty">No difference.</p>}
          {settings.known && <Pairs items={settings.items} />}
        </>
      )}
    </>
  );
}

const KEY_CHANGES = ['added', 'removed', 'changed'] as const;

function Keys({ config }: { config: Extract<Known['config'], { readonly known: true }> }) {
  const isSame =
    config.files.length + KEY_CHANGES.reduce((sum, change) => sum + config[change].length, 0) === 0;
  if (isSame) return <p class="empty">No difference.</p>;
  return (
    <>
      <ul class="config-keys">
        {KEY_CHANGES.flatMap((change) =>
          config[change].map((key) => (
            <li key={key} class={change} title={change}>
              <code>{key}</code>
            </li>
          )),
        )}
      </ul>
      <FileChanges files={config.files} />
    </>
  );
}

function Inside({ evidence: { inside, tags, image, replaces } }: { evidence: Known }) {
  return (
    <>
      {inside !== undefined && !inside.known && (
        <>
          <h5>Files and packages</h5>
          <NotKnown why={inside.why} />
        </>
      )}
      {inside?.known && (
        <>
          <Folded title="Files" count={inside.files.count} shown={inside.files.items.length}>
            <FileChanges files={inside.files.items} />
          </Folded>
          <Folded title="Packages" count={inside.packages.count} shown={inside.packages.items.length}>
            <Pairs items={inside.packages.items} />
          </Folded>
        </>
      )}
      {tags !== undefined && (
        <Folded title="Tags" count={tags.length} shown={tags.length}>
          <Pairs items={tags} />
        </Folded>
      )}
      {replaces.kind === 'release' && replaces.sizeBytes !== undefined && replaces.image !== image.id && (
        <p class="hint">
          <a href={placeOf('images', replaces.image, 'diff', image.id)}>All differences of the two images</a>
        </p>
      )}
    </>
  );
}

function Folded(props: { title: string; count: number; shown: number; children: ComponentChildren }) {
  const { title, count, shown, children } = props;
  if (count === 0) {
    return (
      <p class="folded">
        {title} <span class="faint">no difference</span>
      </p>
    );
  }
  return (
    <details class="folded" open={count <= MOST_OPEN}>
      <summary>
        {title} <span class="faint">{count}</span>
      </summary>
      {children}
      {count > shown && <p class="hint">The first {shown} are shown.</p>}
    </details>
  );
}

function NotKnown({ why }: Pick<Unknown, 'why'>) {
  return <p class="warning">Not known: {why}</p>;
}
