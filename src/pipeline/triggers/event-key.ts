/** What makes two tellings one event. */
import { createHash } from 'node:crypto';
import type { TriggerEvent } from '../../domain/trigger.ts';

/**
 * The same for one event however often it is told. A push has no name of its own, unless its teller gives it one: that
 * it is known shows in where its ref stands, so it gets one that is new (`unique`).
 */
export function eventKey(event: TriggerEvent, unique: string): string {
  switch (event.kind) {
    case 'push':
      return `push/${event.delivery ?? unique}/${event.ref}`;
    case 'pull-request':
      return `pull-request/${event.number}/${event.commit}`;
    case 'schedule':
      return `schedule/${event.cron}/${event.timeZone}/${event.dueAtMs}`;
    case 'channel-moved':
    case 'base-moved':
      return `${event.kind}/${event.revision}`;
    case 'pipeline-ended':
      return `pipeline-ended/${event.execution}`;
    case 'api':
    case 'chat':
      return `${event.kind}/${event.delivery}`;
  }
}

/** The execution that an event of a source starts; begun a second time it is there already. */
export function executionOf(source: string, key: string): string {
  return `exec-${createHash('sha256').update(`${source}\n${key}`).digest('hex').slice(0, 32)}`;
}
