/** Logs of executions: which there are, followed with resume, drawn from any line, downloaded; through any server. */
import type { Answer } from '../api/contract.ts';
import { KilnError } from '../domain/errors.ts';
import type { LogStart } from '../pipeline/logs/task-logs.ts';
import { eventText, type StreamParts, streamAnswer } from './event-stream.ts';
import { type LogName, LogsElsewhere } from './logs-elsewhere.ts';
import type { Caller, Operations } from './operations.ts';
import { OtherServers } from './other-servers.ts';

export function servePipelineLogs(operations: Operations, parts: StreamParts): void {
  const { taskLogs, store, servers } = parts;
  const others = new OtherServers(parts);
  const elsewhere = new LogsElsewhere(parts, others);

  operations.json('executions.logs', async ({ params: { id } }, caller) => {
    if ((await store.executions.get(id)) === undefined)
      throw new KilnError('not-found', `There is no execution ${id}.`, { next: 'Run: kiln pipeline list' });
    const here = (await taskLogs.list(id)).map((log) => ({ ...log, server: servers.id }));
    return { items: inOrder([...here, ...(await elsewhere.list(id, caller))]) };
  });

  operations.json('executions.lines', async ({ params, query }, caller) => {
    const there = await elsewhere.holderOf({ ...params, server: query.server }, caller);
    if (there !== undefined) return await others.call(there, 'executions.lines', { params, query }, caller);
    return taskLogs.window(params.id, params.task, query.from, query.limit);
  });

  operations.stream('executions.log', async ({ params, query }, caller) => {
    const name = { ...params, server: query.server };
    const there = await elsewhere.holderOf(name, caller);
    if (there !== undefined) return passedOn(parts, await others.stream(there, caller), caller);
    return follow(parts, name, query, caller);
  });

  operations.stream('executions.text', async ({ params, query }, caller) => {
    const { id, task } = params;
    const there = await elsewhere.holderOf({ ...params, server: query.server }, caller);
    if (there === undefined) await taskLogs.window(id, task, 1, 1); // before the answer begins, as below
    const text =
      there === undefined ? taskLogs.text(id, task, caller.signal) : await others.stream(there, caller);
    return new Response(ReadableStream.from(counted(parts, text)), {
      headers: {
        'content-type': 'text/plain; charset=utf-8',
        'content-disposition': `attachment; filename="${id}-${task}.log"`,
      },
    });
  });
}

type Log = Answer<'executions.logs'>['items'][number];

/** In which they began. */
function inOrder(logs: readonly Log[]): Log[] {
  return logs.toSorted(
    (a, b) => a.startedAtMs - b.startedAtMs || a.task.localeCompare(b.task, 'en', { numeric: true }),
  );
}

async function follow(
  parts: StreamParts,
  { id, task }: LogName,
  query: { readonly from: number; readonly follow: 'true' | 'false' },
  { signal, lastEventId }: Caller,
): Promise<Response> {
  const { taskLogs } = parts;
  const start: LogStart =
    lastEventId === undefined ? { line: query.from } : { textOffset: offsetOf(lastEventId) };
  // Before the answer begins: what is not there is not found.
  await taskLogs.window(id, task, 1, 1);
  return streamAnswer(parts, 'text/event-stream', signal, async function* (ended) {
    let last = 0;
    for await (const piece of taskLogs.follow(id, task, start, query.follow === 'true', ended)) {
      const { line, bytes, groups, textOffset } = piece;
      last = textOffset;
      yield eventText({ id: textOffset, event: 'text', data: { line, text: bytes.toString(), groups } });
    }
    if (!ended.aborted) yield eventText({ id: last, event: 'end', data: {} });
  });
}

/** Events of another server, heartbeats included. */
function passedOn(parts: StreamParts, events: AsyncIterable<Uint8Array>, { signal }: Caller): Response {
  return streamAnswer(parts, 'text/event-stream', signal, async function* () {
    const decoder = new TextDecoder();
    for await (const bytes of events) yield decoder.decode(bytes, { stream: true });
  });
}

async function* counted(
  { streams }: Pick<StreamParts, 'streams'>,
  text: AsyncIterable<Uint8Array>,
): AsyncIterable<Uint8Array> {
  const leave = streams.enter();
  try {
    yield* text;
  } finally {
    leave();
  }
}

function offsetOf(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new KilnError('input.invalid', `"${text.slice(0, 40)}" is not the id of a piece of a log.`, {
    next: 'Send the id of the last event as it was.',
  });
}
