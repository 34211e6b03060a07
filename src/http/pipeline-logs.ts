/** Logs of executions: which there are, followed with resume, drawn from any line, downloaded. */
import { KilnError } from '../domain/errors.ts';
import type { LogStart } from '../pipeline/logs/task-logs.ts';
import { eventText, type StreamParts, streamAnswer } from './event-stream.ts';
import type { Operations } from './operations.ts';

export function servePipelineLogs(operations: Operations, parts: StreamParts): void {
  const { taskLogs, store } = parts;

  operations.json('executions.logs', async ({ params: { id } }) => {
    if ((await store.executions.get(id)) === undefined)
      throw new KilnError('not-found', `There is no execution ${id}.`, { next: 'Run: kiln pipeline list' });
    return { items: await taskLogs.list(id) };
  });

  operations.json('executions.lines', async ({ params: { id, task }, query: { from, limit } }) =>
    taskLogs.window(id, task, from, limit),
  );

  operations.stream('executions.log', async ({ params, query }, { signal, lastEventId }) => {
    const { id, task } = params;
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
  });

  operations.stream('executions.text', async ({ params: { id, task } }, { signal }) => {
    await taskLogs.window(id, task, 1, 1);
    return new Response(ReadableStream.from(counted(parts, taskLogs.text(id, task, signal))), {
      headers: {
        'content-type': 'text/plain; charset=utf-8',
        'content-disposition': `attachment; filename="${id}-${task}.log"`,
      },
    });
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
