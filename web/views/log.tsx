import { useEffect, useRef, useState } from 'preact/hooks';
import { asKilnError } from '../../src/domain/errors.ts';
import { useLive } from '../live.ts';

const LINES_KEPT = 2_000;
const TAIL = 200;
const DRAW_MS = 150;
const AGAIN_MS = 1_000;

interface Line {
  readonly number: number;
  readonly instance: string;
  readonly text: string;
}

/** The last lines of all instances, and new ones as they come. Lines are drawn in batches, however fast they come. */
export function Log(props: { component: string; level: string; region: string }) {
  const { component, level, region } = props;
  const { client } = useLive();
  const [lines, setLines] = useState<readonly Line[]>([]);
  const [why, setWhy] = useState<string>();
  const end = useRef<HTMLPreElement>(null);
  useEffect(() => {
    const controller = new AbortController();
    let waiting: Line[] = [];
    let count = 0;
    const timer = setInterval(() => {
      if (waiting.length === 0) return;
      const fresh = waiting;
      waiting = [];
      setLines((before) => [...before, ...fresh].slice(-LINES_KEPT));
    }, DRAW_MS);
    const { signal } = controller;
    const follow = async (): Promise<void> => {
      const input = { params: { component, level, region }, query: { tail: TAIL, follow: 'true' as const } };
      while (!signal.aborted) {
        try {
          waiting = [];
          setLines([]);
          for await (const line of client.lines('services.logs', input, { signal })) {
            count += 1;
            waiting.push({ number: count, ...line });
            if (count === 1) setWhy(undefined);
          }
        } catch (thrown) {
          if (!signal.aborted) setWhy(asKilnError(thrown).message);
        }
        // The server has gone, or nothing runs any more: begin again with the last lines.
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
        count = 0;
      }
    };
    void follow();
    return () => {
      clearInterval(timer);
      controller.abort();
    };
  }, [client, component, level, region]);
  // Whenever lines were drawn
  useEffect(() => end.current?.scrollTo(0, end.current.scrollHeight), [lines]);
  return (
    <section>
      <h2>Log</h2>
      {why !== undefined && <p class="problem">{why}</p>}
      <pre class="log" ref={end}>
        {lines.length === 0 ? 'No line yet.' : lines.map((line) => <LogLine key={line.number} line={line} />)}
      </pre>
    </section>
  );
}

function LogLine({ line }: { line: Line }) {
  return (
    <span>
      <b>{line.instance.split('-').slice(-2).join('-')}</b> {line.text}
      {'\n'}
    </span>
  );
}
