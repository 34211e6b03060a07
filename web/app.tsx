import { useEffect, useMemo, useState } from 'preact/hooks';
import { asKilnError } from '../src/domain/errors.ts';
import { LiveContext, useEvents } from './live.ts';
import { placeOf, usePlace } from './place.ts';
import { clientFor, keptSession, type Session, signIn, signOut, takeCode } from './session.ts';
import { Activity } from './views/activity.tsx';
import { Channels } from './views/channels.tsx';
import { ExecutionView } from './views/execution.tsx';
import { ImageView } from './views/image.tsx';
import { ImageDiff } from './views/image-diff.tsx';
import { Images } from './views/images.tsx';
import { PipelineView } from './views/pipeline.tsx';
import { Pipelines } from './views/pipelines.tsx';
import { ServiceView } from './views/service.tsx';
import { Services } from './views/services.tsx';

type Gate =
  | { readonly kind: 'opening' }
  | { readonly kind: 'closed'; readonly why?: string }
  | { readonly kind: 'open'; readonly session: Session };

export function App() {
  const [gate, setGate] = useState<Gate>({ kind: 'opening' });
  const enter = (credential: string): void => {
    signIn(credential).then(
      (session) => setGate({ kind: 'open', session }),
      (thrown) => setGate({ kind: 'closed', why: asKilnError(thrown).message }),
    );
  };
  useEffect(() => {
    const enterByCode = (): boolean => {
      const code = takeCode();
      if (code !== undefined) enter(code);
      return code !== undefined;
    };
    if (!enterByCode()) {
      const kept = keptSession(Date.now());
      setGate(kept === undefined ? { kind: 'closed' } : { kind: 'open', session: kept });
    }
    // The address of `kiln open` given to a page that is open already.
    addEventListener('hashchange', enterByCode);
    return () => removeEventListener('hashchange', enterByCode);
  }, []);
  const leave = (why?: string): void => {
    signOut();
    setGate({ kind: 'closed', ...(why === undefined ? {} : { why }) });
  };
  if (gate.kind === 'opening') return null;
  if (gate.kind === 'closed') return <Closed why={gate.why} enter={enter} />;
  return <Signed session={gate.session} leave={leave} />;
}

function Closed({ why, enter }: { why: string | undefined; enter: (credential: string) => void }) {
  const [token, setToken] = useState('');
  return (
    <main class="closed">
      <img src="/page/icon.svg" alt="" width="72" />
      <h1>Kiln</h1>
      {why !== undefined && <p class="problem">{why}</p>}
      <p>
        Run <code>kiln open</code> on the machine of the server and follow its address, or paste a token.
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          enter(token.trim());
        }}
      >
        <input
          type="password"
          autocomplete="off"
          aria-label="Token"
          placeholder="kiln_…"
          value={token}
          onInput={(event) => setToken(event.currentTarget.value)}
        />
        <button type="submit" disabled={token.trim() === ''}>
          Sign in
        </button>
      </form>
    </main>
  );
}

function Signed({ session, leave }: { session: Session; leave: (why?: string) => void }) {
  const client = useMemo(() => clientFor(session.secret), [session.secret]);
  const heard = useEvents(client, () => leave('The session has ended.'));
  const place = usePlace();
  const live = useMemo(() => ({ client, session, ...heard }), [client, session, heard]);
  return (
    <LiveContext.Provider value={live}>
      <header>
        <a class="brand" href={placeOf()}>
          <img src="/page/icon.svg" alt="" width="26" /> Kiln
        </a>
        <nav>
          <Tab name="Services" word="services" place={place} first />
          <Tab name="Images" word="images" place={place} />
          <Tab name="Channels" word="channels" place={place} />
          <Tab name="Pipelines" word="pipelines" place={place} />
          <Tab name="Activity" word="activity" place={place} />
        </nav>
        <span
          class={`link ${heard.connected ? 'up' : 'lost'}`}
          title={heard.connected ? 'Live' : 'The server does not answer; trying again'}
        >
          {heard.connected ? 'live' : 'no connection'}
        </span>
        <button
          type="button"
          class="quiet"
          title={`${session.name}, ${session.role}`}
          onClick={() => leave()}
        >
          Sign out
        </button>
      </header>
      <main>
        <Place place={place} />
      </main>
    </LiveContext.Provider>
  );
}

/** Places that are reached from another tab's. */
const BELONGS: Readonly<Record<string, string>> = { executions: 'pipelines' };

function Tab(props: { name: string; word: string; place: readonly string[]; first?: boolean }) {
  const at = props.place[0] ?? (props.first ? props.word : '');
  return (
    <a href={placeOf(props.word)} aria-current={(BELONGS[at] ?? at) === props.word ? 'page' : undefined}>
      {props.name}
    </a>
  );
}

function Place({ place }: { place: readonly string[] }) {
  const [word = 'services', first, second, third] = place;
  if (word === 'services' && first !== undefined && second !== undefined && third !== undefined) {
    return <ServiceView component={first} level={second} region={third} />;
  }
  if (word === 'services') return <Services />;
  if (word === 'images' && first !== undefined && second === 'diff' && third !== undefined) {
    return <ImageDiff from={first} to={third} />;
  }
  if (word === 'channels') return <Channels />;
  if (word === 'images' && first === 'find') return <Images query={second ?? ''} />;
  if (word === 'images' && first !== undefined) return <ImageView reference={first} />;
  if (word === 'images') return <Images query="" />;
  if (word === 'pipelines' && first !== undefined) return <PipelineView pipeline={first} />;
  if (word === 'pipelines') return <Pipelines />;
  if (word === 'executions' && first !== undefined) {
    return <ExecutionView id={first} task={second} line={third} />;
  }
  if (word === 'activity') return <Activity />;
  return (
    <p class="empty">
      There is nothing here. Go to the <a href={placeOf()}>services</a>.
    </p>
  );
}
