/**
 * The log of one task, however long: only the lines that are seen are asked for and drawn. Each line has one height, so
 * that the place of any line is known without the others.
 */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Client } from '../../src/api/client.ts';
import type { Answer } from '../../src/api/contract.ts';
import { asKilnError, type KilnError } from '../../src/domain/errors.ts';
import { useLive } from '../live.ts';
import { ansiPieces } from '../parts/ansi.ts';
import { Problem } from '../parts/shown.tsx';
import { spanText } from '../parts/time.tsx';
import { placeOf } from '../place.ts';

type Log = Answer<'executions.logs'>['items'][number];

const LINE_PX = 20;
const CHUNK = 250;
const CHUNKS_KEPT = 40;
const OVERSCAN = 30;
const DRAW_MS = 150;
const FIRST_HEIGHT_PX = 480;

interface Chunk {
  readonly lines: readonly string[];
  /** Size of the log when it was asked for, while its last line may still grow. */
  readonly sizeBytes?: number;
}

/** Lines by chunk; those of the chunk that still grows are asked for anew. */
class Lines {
  readonly #client: Client;
  readonly #params: { readonly id: string; readonly task: string };
  readonly #server: string;
  readonly #chunks = new Map<number, Chunk>();
  readonly #asked = new Set<number>();

  constructor(client: Client, id: string, { task, server }: Pick<Log, 'task' | 'server'>) {
    this.#client = client;
    this.#params = { id, task };
    this.#server = server;
  }

  at(line: number): string | undefined {
    return this.#chunks.get(Math.floor((line - 1) / CHUNK))?.lines[(line - 1) % CHUNK];
  }

  /** True: something came. Fails when it could not be asked for. */
  async bring(from: number, to: number, sizeBytes: number, signal: AbortSignal): Promise<boolean> {
    const first = Math.floor((from - 1) / CHUNK);
    const last = Math.floor((to - 1) / CHUNK);
    const wanted: number[] = [];
    for (let chunk = first; chunk <= last; chunk += 1) {
      const known = this.#chunks.get(chunk);
      const isThere = known !== undefined && (known.sizeBytes ?? sizeBytes) === sizeBytes;
      if (!isThere && !this.#asked.has(chunk)) wanted.push(chunk);
    }
    await Promise.all(wanted.map((chunk) => this.#bringChunk(chunk, sizeBytes, signal)));
    return wanted.length > 0;
  }

  async #bringChunk(chunk: number, sizeBytes: number, signal: AbortSignal): Promise<void> {
    this.#asked.add(chunk);
    try {
      const query = { server: this.#server, from: chunk * CHUNK + 1, limit: CHUNK };
      const { items, lines } = await this.#client.call(
        'executions.lines',
        { params: this.#params, query },
        { signal },
      );
      this.#chunks.delete(chunk);
      const grows = lines <= (chunk + 1) * CHUNK;
      const texts = items.map(({ text, cut }) => (cut ? `${text}…` : text));
      this.#chunks.set(chunk, { lines: texts, ...(grows && { sizeBytes }) });
      const [oldest] = this.#chunks.keys();
      if (this.#chunks.size > CHUNKS_KEPT && oldest !== undefined) this.#chunks.delete(oldest);
    } finally {
      this.#asked.delete(chunk);
    }
  }
}

/** How long the log is, by what the server last told of it: at once while it is written. */
function useExtent(id: string, log: Log): Pick<Log, 'lines' | 'sizeBytes'> {
  const { client } = useLive();
  const { task, server, live } = log;
  const [heard, setHeard] = useState({ lines: 0, sizeBytes: 0 });
  useEffect(() => {
    if (!live) return;
    const controller = new AbortController();
    const { signal } = controller;
    let latest = { lines: 0, sizeBytes: 0 };
    // However fast lines come, they are drawn so often.
    const timer = setInterval(() => setHeard(latest), DRAW_MS);
    const follow = async (): Promise<void> => {
      const input = { params: { id, task }, query: { server, from: -1 } };
      for await (const { id: sizeBytes, event, data } of client.follow('executions.log', input, { signal })) {
        if (event !== 'text' || data === undefined) continue;
        const { line, text }: Answer<'executions.log'> = JSON.parse(data);
        const newlines = text.split('\n').length - 1;
        latest = {
          lines: line + newlines - (text.endsWith('\n') ? 1 : 0),
          sizeBytes: Number(sizeBytes),
        };
      }
    };
    // Where it cannot be followed, the list of logs is asked for anew all the same.
    follow().catch(() => undefined);
    return () => {
      clearInterval(timer);
      controller.abort();
    };
  }, [client, id, task, server, live]);
  return heard.sizeBytes > log.sizeBytes ? heard : log;
}

export function TaskLog({ id, log, line }: { id: string; log: Log; line: number }) {
  const { client } = useLive();
  const { task, server } = log;
  const lines = useMemo(() => new Lines(client, id, { task, server }), [client, id, task, server]);
  const box = useRef<HTMLDivElement>(null);
  const [scroll, setScroll] = useState({ top: 0, height: FIRST_HEIGHT_PX });
  const [follows, setFollows] = useState(log.live && line === 0);
  const [error, setError] = useState<KilnError>();
  const [, setDrawn] = useState(0);
  const { lines: count, sizeBytes } = useExtent(id, log);
  const first = Math.max(1, Math.floor(scroll.top / LINE_PX) - OVERSCAN);
  const last = Math.min(count, Math.ceil((scroll.top + scroll.height) / LINE_PX) + OVERSCAN);

  useEffect(() => {
    if (last < first) return;
    const controller = new AbortController();
    // A list that is scrolled past is not asked for.
    const timer = setTimeout(() => {
      lines.bring(first, last, sizeBytes, controller.signal).then(
        (came) => came && setDrawn((drawn) => drawn + 1),
        (thrown: unknown) => controller.signal.aborted || setError(asKilnError(thrown)),
      );
    }, 20);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [lines, first, last, sizeBytes]);
  // To the end, as long as it is followed
  useEffect(() => {
    if (follows) box.current?.scrollTo(0, box.current.scrollHeight);
  }, [follows, count]);
  useEffect(() => {
    if (line > 0) box.current?.scrollTo(0, (line - 5) * LINE_PX);
  }, [line]);

  const onScroll = (): void => {
    const element = box.current;
    if (element === null) return;
    setScroll({ top: element.scrollTop, height: element.clientHeight });
    const isAtEnd = element.scrollTop + element.clientHeight > element.scrollHeight - LINE_PX;
    if (!isAtEnd) setFollows(false);
    else if (log.live) setFollows(true);
  };
  const numbers = Array.from({ length: Math.max(0, last - first + 1) }, (_, at) => first + at);
  return (
    <>
      <Head id={id} log={{ ...log, lines: count }} follows={follows} setFollows={setFollows} />
      {error !== undefined && <Problem error={error} />}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it is scrolled by keys too */}
      <div class="task-log" ref={box} onScroll={onScroll} tabIndex={0} role="log" aria-label="Log">
        <div class="task-log-lines" style={{ height: `${count * LINE_PX}px` }}>
          {numbers.map((number) => (
            <Line key={number} id={id} task={task} number={number} text={lines.at(number)} marked={line} />
          ))}
        </div>
      </div>
    </>
  );
}

function Line(props: { id: string; task: string; number: number; text: string | undefined; marked: number }) {
  const { id, task, number, text, marked } = props;
  return (
    <div
      class={number === marked ? 'line marked' : 'line'}
      style={{ transform: `translateY(${(number - 1) * LINE_PX}px)` }}
    >
      <a href={placeOf('executions', id, task, String(number))}>{number}</a>
      <span>
        {text === undefined
          ? '…'
          : ansiPieces(text).map((piece, at) => (
              // Pieces of one line only change with it
              <span
                key={`${at} ${piece.text}`}
                class={piece.classes}
                style={piece.color === undefined ? {} : { color: piece.color }}
              >
                {piece.text}
              </span>
            ))}
      </span>
    </div>
  );
}

function Head(props: { id: string; log: Log; follows: boolean; setFollows: (follows: boolean) => void }) {
  const { id, log, follows, setFollows } = props;
  const { client } = useLive();
  const { task, server, groups, startedAtMs, endedAtMs, lines, lostBytes } = log;
  const tookMs = (endedAtMs ?? Date.now()) - startedAtMs;
  const download = async (): Promise<void> => {
    const parts: BlobPart[] = [];
    for await (const piece of client.text('executions.text', { params: { id, task }, query: { server } }))
      parts.push(new Uint8Array(piece));
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob(parts, { type: 'text/plain' }));
    link.download = `${id}-${task}.log`;
    link.click();
    URL.revokeObjectURL(link.href);
  };
  return (
    <>
      <p class="lead">
        <span class="faint">
          {lines === 1 ? '1 line' : `${lines.toLocaleString()} lines`}, {spanText(tookMs)}
        </span>
        {lostBytes > 0 && <span class="problem">{lostBytes} bytes are missing: the disk was full</span>}
        {log.live && (
          <button
            type="button"
            class={follows ? '' : 'quiet'}
            aria-pressed={follows}
            onClick={() => setFollows(!follows)}
          >
            Follow
          </button>
        )}
        <button type="button" class="quiet" onClick={() => void download()}>
          Download
        </button>
      </p>
      {groups.length > 0 && (
        <ol class="groups-of-log">
          {groups.map((group, at) => {
            const nextMs = groups[at + 1]?.atMs ?? endedAtMs ?? Date.now();
            return (
              <li key={`${group.line} ${group.title}`}>
                <a href={placeOf('executions', id, task, String(group.line))} title={group.title}>
                  <code>{group.title}</code>
                </a>{' '}
                <small class="faint">{spanText(nextMs - group.atMs)}</small>
              </li>
            );
          })}
        </ol>
      )}
    </>
  );
}
