/** What a pipeline asks for before it starts. What is right is decided by the server, which names all faults at once. */
import type { Client } from '../../src/api/client.ts';
import type { Answer, Call } from '../../src/api/contract.ts';
import { KilnError } from '../../src/domain/errors.ts';
import { useLive } from '../live.ts';
import { AskedField, type Control, faultOf, useAsking } from '../parts/asking.tsx';
import { Problem } from '../parts/shown.tsx';

type Asked = Answer<'pipelines.parameters'>;
type Parameter = Asked['items'][number];
type Texts = Readonly<Record<string, string>>;

export interface Chosen extends Asked {
  readonly place: Call<'pipelines.parameters'>['query'];
}

const LOOK_AGAIN_MS = 250;
const MOST_LOOKS = 120;

export function StartParameters(props: {
  chosen: Chosen;
  back: () => void;
  started: (execution: string) => void;
}) {
  const { chosen, back, started } = props;
  const { client } = useLive();
  const { failure, asked, ask } = useAsking();
  const { place, items } = chosen;
  const start = (event: Event): void => {
    event.preventDefault();
    if (!(event.currentTarget instanceof HTMLFormElement)) return;
    // Texts: the server reads each as its declared type says.
    const given = [...new FormData(event.currentTarget)].flatMap(([name, value]) =>
      typeof value === 'string' && value !== '' ? [[name, value] as const] : [],
    );
    ask(async () => started(await begin(client, place, Object.fromEntries(given))));
  };
  return (
    <form noValidate onSubmit={start}>
      <p class="place">
        <code>{place.repository ?? place.directory ?? place.source}</code>
        {place.at !== undefined && (
          <>
            {' at '}
            <code>{place.at}</code>
          </>
        )}
      </p>
      {failure !== undefined && <Problem error={failure} elsewhere={items.map(({ name }) => name)} />}
      {items.length === 0 && <p>It asks for nothing.</p>}
      {items.map((one) => (
        <AskedField
          key={one.name}
          name={one.name}
          label={one.name}
          required={one.default === undefined}
          fault={faultOf(failure, one.name)}
          hint={one.description}
        >
          {(control) => <Field parameter={one} control={control} />}
        </AskedField>
      ))}
      <footer>
        <button type="button" class="quiet" onClick={back}>
          Back
        </button>
        <button type="submit" disabled={asked}>
          {asked ? 'Starting…' : 'Start'}
        </button>
      </footer>
    </form>
  );
}

function Field({ parameter, control }: { parameter: Parameter; control: Control }) {
  const { type, allowed, default: byDefault } = parameter;
  const values = allowed ?? (type === 'boolean' ? [true, false] : undefined);
  const initial = byDefault === undefined ? '' : String(byDefault);
  const named = { ...control, 'aria-required': byDefault === undefined };
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

/** The execution, once it is there. */
async function begin(client: Client, place: Chosen['place'], parameters: Texts): Promise<string> {
  const { source, ...where } = place;
  if (source === undefined) {
    return (await client.call('executions.start', { body: { ...where, parameters } })).id;
  }
  const at = place.at === undefined ? {} : { at: place.at };
  const taken = await client.call('sources.start', { params: { id: source }, body: { parameters, ...at } });
  return startedBy(client, source, taken.execution);
}

/** A source's event is acted on by whichever server comes to it first. */
async function startedBy(client: Client, id: string, execution: string | undefined): Promise<string> {
  for (let looks = 0; looks < MOST_LOOKS; looks += 1) {
    const { items } = await client.call('sources.events', { params: { id }, query: { limit: 20 } });
    const started = items.find(({ outcome }) => outcome?.execution === execution)?.outcome?.execution;
    if (started !== undefined) return started;
    const [newest] = items;
    if (newest?.kind === 'api' && newest.outcome?.kind === 'failed') {
      throw new KilnError('pipeline.invalid', newest.outcome.message ?? 'It could not be started.');
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
  throw new KilnError('timeout', 'No server has come to it yet; it will start as soon as one does.', {
    next: `See: kiln pipeline events ${id}`,
  });
}
