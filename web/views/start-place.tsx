/** Where the pipeline is that somebody starts: a source that Kiln watches, a git repository, or a folder. */
import { useState } from 'preact/hooks';
import type { Answer, Call } from '../../src/api/contract.ts';
import { useLive, useLoaded } from '../live.ts';
import { AskedField, faultOf, useAsking } from '../parts/asking.tsx';
import { Problem, Shown } from '../parts/shown.tsx';
import type { Chosen } from './start-parameters.tsx';

type Source = Answer<'sources.list'>['items'][number];

const KINDS = { source: 'Watched', repository: 'Git repository', folder: 'Folder' } as const;
type Kind = keyof typeof KINDS;

/** Where faults are shown. */
const FIELDS: Readonly<Record<Kind, readonly string[]>> = {
  source: ['at'],
  repository: ['repository', 'at', 'directory'],
  folder: ['directory'],
};

export function StartPlace(props: { choose: (chosen: Chosen) => void; leave: () => void }) {
  const sources = useLoaded('sources', (client, signal) => client.call('sources.list', {}, { signal }));
  return <Shown loaded={sources}>{({ items }) => <PlaceForm sources={items} {...props} />}</Shown>;
}

function PlaceForm(props: {
  sources: readonly Source[];
  choose: (chosen: Chosen) => void;
  leave: () => void;
}) {
  const { sources, choose, leave } = props;
  const { client } = useLive();
  const { failure, asked, ask } = useAsking();
  const [kind, setKind] = useState<Kind>(sources.length === 0 ? 'repository' : 'source');
  const [picked, pick] = useState(sources[0]?.id);
  const isFolder = kind === 'source' && sources.find(({ id }) => id === picked)?.folder !== undefined;
  const next = (event: Event): void => {
    event.preventDefault();
    if (!(event.currentTarget instanceof HTMLFormElement)) return;
    const place = placeIn(kind, new FormData(event.currentTarget));
    ask(async () => {
      const { component, items } = await client.call('pipelines.parameters', { query: place });
      choose({ place, component, items });
    });
  };
  return (
    <form onSubmit={next}>
      {failure !== undefined && <Problem error={failure} elsewhere={FIELDS[kind]} />}
      <fieldset class="choice">
        <legend>Where it is</legend>
        {Object.entries(KINDS).map(([value, label]) => (
          <label key={value}>
            <input
              type="radio"
              name="kind"
              checked={value === kind}
              disabled={value === 'source' && sources.length === 0}
              onChange={() => setKind(isKind(value) ? value : kind)}
            />
            {label}
          </label>
        ))}
      </fieldset>
      {kind === 'source' && <Sources items={sources} picked={picked} pick={pick} />}
      {kind === 'repository' && (
        <AskedField
          name="repository"
          label="Repository"
          required
          fault={faultOf(failure, 'repository')}
          hint="https://…, ssh://… or user@host:path; fetched by the server, with its own keys."
        >
          {(control) => <input {...control} required placeholder="https://example.com/team/shop.git" />}
        </AskedField>
      )}
      {kind !== 'folder' && !isFolder && (
        <AskedField
          name="at"
          label="Branch, tag or commit"
          required={false}
          fault={faultOf(failure, 'at')}
          hint={kind === 'source' ? 'Empty: the branch that is watched.' : 'Empty: its default branch.'}
        >
          {(control) => <input {...control} placeholder="main" />}
        </AskedField>
      )}
      {kind !== 'source' && (
        <AskedField
          name="directory"
          label="Folder"
          required={kind === 'folder'}
          fault={faultOf(failure, 'directory')}
          hint={
            kind === 'folder'
              ? 'Of the component, on the server’s machine.'
              : 'Of the component in the repository. Empty: its root.'
          }
        >
          {(control) => (
            <input
              {...control}
              key={kind}
              required={kind === 'folder'}
              placeholder={kind === 'folder' ? '/srv/shop' : 'services/shop'}
            />
          )}
        </AskedField>
      )}
      <footer>
        <button type="button" class="quiet" onClick={leave}>
          Leave it
        </button>
        <button type="submit" disabled={asked}>
          {asked ? 'Looking…' : 'Next'}
        </button>
      </footer>
    </form>
  );
}

function Sources(props: {
  items: readonly Source[];
  picked: string | undefined;
  pick: (id: string) => void;
}) {
  const { items, picked, pick } = props;
  return (
    <div class="sources" role="radiogroup" aria-label="Source">
      {items.map(({ id, component, repository, folder, directory, branch }) => (
        <label key={id}>
          <input type="radio" name="source" value={id} checked={id === picked} onChange={() => pick(id)} />
          <b>{component}</b>
          <code>{[repository ?? folder, directory].filter(Boolean).join(' ')}</code>
          <span class="faint">{branch}</span>
        </label>
      ))}
    </div>
  );
}

function isKind(text: string): text is Kind {
  return text in KINDS;
}

/** What was typed, of what belongs to the kind; nothing typed is nothing said. */
function placeIn(kind: Kind, form: FormData): Call<'pipelines.parameters'>['query'] {
  const typed = (name: string) => {
    const text = String(form.get(name) ?? '').trim();
    return text === '' ? {} : { [name]: text };
  };
  if (kind === 'folder') return typed('directory');
  const at = typed('at');
  if (kind === 'source') return { ...typed('source'), ...at };
  return { ...typed('repository'), ...at, ...typed('directory') };
}
