/** What the page shows is asked anew whenever the server says that something of it changed. */
import { createContext } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import type { Client } from '../src/api/client.ts';
import { asKilnError, type KilnError } from '../src/domain/errors.ts';
import type { Session } from './session.ts';

export interface KilnEvent {
  readonly revision: number;
  readonly atMs: number;
  readonly kind: string;
  readonly subject: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Live {
  readonly client: Client;
  readonly session: Session;
  /** Grows with each change that the server told of. */
  readonly revision: number;
  /** False while the server cannot be reached. */
  readonly connected: boolean;
  /** The latest, newest first. */
  readonly events: readonly KilnEvent[];
}

export const LiveContext = createContext<Live | undefined>(undefined);

export function useLive(): Live {
  const live = useContext(LiveContext);
  if (live === undefined) throw new Error('only inside of the signed-in page');
  return live;
}

export type Loaded<Value> =
  | { readonly kind: 'loading' }
  | { readonly kind: 'ready'; readonly value: Value }
  /** `value`: what was known before it failed. */
  | { readonly kind: 'failed'; readonly error: KilnError; readonly value?: Value };

const SETTLE_MS = 80;
/** Health of instances changes without an event: looked at again this often. */
const REFRESH_MS = 5_000;
const EVENTS_KEPT = 200;

/** Asks at once, after each change, and every few seconds; `key` tells one question from another. */
export function useLoaded<Value>(
  key: string,
  ask: (client: Client, signal: AbortSignal) => Promise<Value>,
  refreshMs = REFRESH_MS,
): Loaded<Value> {
  const { client, revision } = useLive();
  const [held, setHeld] = useState<{ key: string; loaded: Loaded<Value> }>({
    key,
    loaded: { kind: 'loading' },
  });
  const [turn, setTurn] = useState(0);
  // `ask` is another function at each drawing; `key` says when it asks for something else
  useEffect(() => {
    const controller = new AbortController();
    const load = async (): Promise<void> => {
      try {
        const value = await ask(client, controller.signal);
        if (!controller.signal.aborted) setHeld({ key, loaded: { kind: 'ready', value } });
      } catch (thrown) {
        if (controller.signal.aborted) return;
        const error = asKilnError(thrown);
        setHeld((before) => ({ key, loaded: failed(error, before.key === key ? before.loaded : undefined) }));
      }
    };
    // Changes come in bursts.
    const soon = setTimeout(load, SETTLE_MS);
    const later = setTimeout(() => setTurn((count) => count + 1), refreshMs);
    return () => {
      clearTimeout(soon);
      clearTimeout(later);
      controller.abort();
    };
  }, [key, client, revision, turn]);
  return held.key === key ? held.loaded : { kind: 'loading' };
}

function failed<Value>(error: KilnError, before: Loaded<Value> | undefined): Loaded<Value> {
  const known =
    before !== undefined && 'value' in before && before.value !== undefined ? { value: before.value } : {};
  return { kind: 'failed', error, ...known };
}

/** Follows the server's events from now on, over lost connections. */
export function useEvents(
  client: Client,
  onDenied: () => void,
): { readonly revision: number; readonly connected: boolean; readonly events: readonly KilnEvent[] } {
  const [events, setEvents] = useState<readonly KilnEvent[]>([]);
  const [connected, setConnected] = useState(true);
  // One stream a client, whoever hears of its end
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    const follow = async (): Promise<void> => {
      let known: number | undefined;
      while (!signal.aborted) {
        try {
          // Answers as soon as the server is there; the stream itself is silent until something happens.
          const { revision } = await client.call('server.get', {}, { signal });
          setConnected(true);
          known ??= revision;
          for await (const { data } of client.follow(
            'events.follow',
            { query: { after: known } },
            { signal },
          )) {
            if (data === undefined) continue;
            const event: KilnEvent = JSON.parse(data);
            known = event.revision;
            setEvents((before) => [event, ...before].slice(0, EVENTS_KEPT));
          }
        } catch (thrown) {
          if (signal.aborted) return;
          if (asKilnError(thrown).code.startsWith('auth.')) {
            onDenied();
            return;
          }
          setConnected(false);
        }
      }
    };
    void follow();
    return () => controller.abort();
  }, [client]);
  return { revision: events[0]?.revision ?? 0, connected, events };
}
