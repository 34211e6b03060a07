/** Starts the pipeline of a folder: asks for what it declares, each as its type and its values say. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Answer } from '../../src/api/contract.ts';
import { asKilnError, type KilnError } from '../../src/domain/errors.ts';
import { useLive, useLoaded } from '../live.ts';
import { Problem, Shown } from '../parts/shown.tsx';
import { placeOf } from '../place.ts';

type Asked = Answer<'pipelines.parameters'>;
type Parameter = Asked['items'][number];

interface Chosen extends Asked {
  readonly directory: string;
}

export function StartDialog({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [chosen, setChosen] = useState<Chosen>();
  useEffect(() => dialog.current?.showModal(), []);
  const leave = () => dialog.current?.close();
  return (
    <dialog ref={dialog} onClose={close}>
      <h2>Start {chosen === undefined ? 'a pipeline' : `the pipeline of ${chosen.component}`}</h2>
      {chosen === undefined ? (
        <Folder choose={setChosen} leave={leave} />
      ) : (
        <Parameters chosen={chosen} leave={leave} />
      )}
    </dialog>
  );
}

interface Asking {
  readonly failure: KilnError | undefined;
  readonly asked: boolean;
  readonly ask: (work: () => Promise<void>) => void;
}

/** One question at a time; what it fails of stands until the next. */
function useAsking(): Asking {
  const [failure, setFailure] = useState<KilnError>();
  const [asked, setAsked] = useState(false);
  const ask = (work: () => Promise<void>): void => {
    setAsked(true);
    setFailure(undefined);
    work()
      .catch((thrown: unknown) => setFailure(asKilnError(thrown)))
      .finally(() => setAsked(false));
  };
  return { failure, asked, ask };
}

function Folder({ choose, leave }: { choose: (chosen: Chosen) => void; leave: () => void }) {
  const { client } = useLive();
  const { failure, asked, ask } = useAsking();
  const [typed, setTyped] = useState('');
  const sources = useLoaded('sources', (caller, signal) => caller.call('sources.list', {}, { signal }));
  const next = (event: Event): void => {
    event.preventDefault();
    const directory = typed.trim();
    ask(async () =>
      choose({ ...(await client.call('pipelines.parameters', { query: { directory } })), directory }),
    );
  };
  return (
    <form onSubmit={next}>
      {failure !== undefined && <Problem error={failure} />}
      <label class="asked">
        <b>Folder</b>
        <input
          name="directory"
          list="folders"
          required
          placeholder="/srv/shop"
          value={typed}
          onInput={({ currentTarget }) => setTyped(currentTarget.value)}
        />
        <span class="faint">Of the component, on the server’s machine.</span>
      </label>
      <Shown loaded={sources}>
        {({ items }) => (
          <datalist id="folders">
            {items.map(({ id, folder }) => folder !== undefined && <option key={id} value={folder} />)}
          </datalist>
        )}
      </Shown>
      <Ends asked={asked} leave={leave} does="Next" />
    </form>
  );
}

function Parameters({ chosen, leave }: { chosen: Chosen; leave: () => void }) {
  const { client } = useLive();
  const { failure, asked, ask } = useAsking();
  const { directory, items } = chosen;
  const start = (event: Event): void => {
    event.preventDefault();
    if (!(event.currentTarget instanceof HTMLFormElement)) return;
    // Texts: the server reads each as its declared type says.
    const given = [...new FormData(event.currentTarget)].filter(([, value]) => value !== '');
    ask(async () => {
      const body = { directory, parameters: Object.fromEntries(given) };
      const { id } = await client.call('executions.start', { body });
      location.hash = placeOf('executions', id);
    });
  };
  return (
    <form onSubmit={start}>
      {failure !== undefined && <Problem error={failure} />}
      {items.length === 0 && <p>It asks for nothing.</p>}
      {items.map((one) => (
        <div class="asked" key={one.name}>
          <label for={`asked-${one.name}`}>
            <b>{one.name}</b>
          </label>
          <Field parameter={one} />
          {one.description !== undefined && <span class="faint">{one.description}</span>}
        </div>
      ))}
      <Ends asked={asked} leave={leave} does="Start" />
    </form>
  );
}

function Field({ parameter: { name, type, allowed, default: byDefault } }: { parameter: Parameter }) {
  const values = allowed ?? (type === 'boolean' ? [true, false] : undefined);
  const initial = byDefault === undefined ? '' : String(byDefault);
  const named = { name, id: `asked-${name}`, required: byDefault === undefined };
  if (values === undefined) {
    if (type === 'number') return <input {...named} type="number" step="any" defaultValue={initial} />;
    return <input {...named} type="text" defaultValue={initial} />;
  }
  return (
    <select {...named}>
      {byDefault === undefined && <option value="">choose…</option>}
      {values.map(String).map((value) => (
        <option key={value} value={value} selected={value === initial}>
          {value}
        </option>
      ))}
    </select>
  );
}

function Ends({ asked, leave, does }: { asked: boolean; leave: () => void; does: string }) {
  return (
    <footer>
      <button type="button" class="quiet" onClick={leave}>
        Leave it
      </button>
      <button type="submit" disabled={asked}>
        {asked ? 'Asked…' : does}
      </button>
    </footer>
  );
}
