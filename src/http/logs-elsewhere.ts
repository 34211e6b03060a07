/** Logs that other servers of the same store have: which there are, and whom to ask. */
import type { Answer } from '../api/contract.ts';
import { asKilnError, KilnError } from '../domain/errors.ts';
import type { LogPlace } from '../domain/ports/task-log.ts';
import type { Caller } from './operations.ts';
import type { OtherServers } from './other-servers.ts';
import type { HttpParts } from './parts.ts';

export interface LogName {
  readonly id: string;
  readonly task: string;
  /** Id of the server whose log is meant; undefined: the newest of the task. */
  readonly server: string | undefined;
}

type Log = Answer<'executions.logs'>['items'][number];

export class LogsElsewhere {
  readonly #others: OtherServers;
  readonly #store: Pick<HttpParts['store'], 'logPlaces'>;
  readonly #own: string;

  constructor({ store, servers }: Pick<HttpParts, 'store' | 'servers'>, others: OtherServers) {
    this.#others = others;
    this.#store = store;
    this.#own = servers.id;
  }

  /** Of a server that cannot be asked, what is known of its logs and why. */
  async list(execution: string, caller: Caller): Promise<readonly Log[]> {
    const places = caller.sent.isPassedOn ? [] : await this.#store.logPlaces.of(execution);
    const others = Map.groupBy(places, ({ server }) => server);
    others.delete(this.#own);
    const asked = [...others].map(async ([server, ofIt]) => {
      try {
        return (await this.#others.call(server, 'executions.logs', { params: { id: execution } }, caller))
          .items;
      } catch (thrown) {
        caller.signal.throwIfAborted();
        const { code, message } = asKilnError(thrown);
        return ofIt.map((place) => unread(place, { code, message }));
      }
    });
    return (await Promise.all(asked)).flat();
  }

  /** Undefined: it is here, or nowhere. */
  async holderOf({ id, task, server }: LogName, { sent, lastEventId }: Caller): Promise<string | undefined> {
    if (sent.isPassedOn) return undefined;
    const ofTask = (await this.#store.logPlaces.of(id)).filter((place) => place.task === task);
    if (server === undefined && lastEventId !== undefined && ofTask.length > 1) {
      throw new KilnError('input.conflict', `${task} of ${id} has a log on several servers by now.`, {
        next: `Say which one you follow: ?server=${ofTask.at(-1)?.server}`,
      });
    }
    const holder = server ?? ofTask[0]?.server;
    return holder === this.#own ? undefined : holder;
  }
}

function unread(
  { server, task, state, startedAtMs }: LogPlace,
  unreadable: NonNullable<Log['unreadable']>,
): Log {
  return {
    server,
    unreadable,
    task,
    state,
    startedAtMs,
    live: false,
    lines: 0,
    sizeBytes: 0,
    lostBytes: 0,
    groups: [],
  };
}
