/** What happens now, and who did what before. */
import { type KilnEvent, useLive, useLoaded } from '../live.ts';
import { Shown } from '../parts/shown.tsx';
import { Ago } from '../parts/time.tsx';

export function Activity() {
  const { events } = useLive();
  const audit = useLoaded('audit', (client, signal) =>
    client.call('audit.list', { query: { limit: 50 } }, { signal }),
  );
  return (
    <div class="columns">
      <section>
        <h2>Now</h2>
        {events.length === 0 && <p class="empty">What happens while this page is open appears here.</p>}
        <ol class="history">
          {events.map((event) => (
            <EventLine key={event.revision} event={event} />
          ))}
        </ol>
      </section>
      <section>
        <h2>Audit</h2>
        <Shown loaded={audit}>
          {({ items }) => (
            <ol class="history">
              {items.map((entry) => (
                <li key={entry.revision}>
                  <code>{entry.action}</code> {entry.subject} by {entry.actor}, <Ago atMs={entry.atMs} />
                </li>
              ))}
            </ol>
          )}
        </Shown>
      </section>
    </div>
  );
}

function EventLine({ event }: { event: KilnEvent }) {
  const text = typeof event.data.text === 'string' ? event.data.text : undefined;
  return (
    <li>
      <code>{event.kind}</code> {event.subject} {text !== undefined && <span>{text}</span>}{' '}
      <Ago atMs={event.atMs} />
    </li>
  );
}
