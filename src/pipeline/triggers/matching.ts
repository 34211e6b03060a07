/** Which sources an event starts. Pure. */
import type {
  ChannelName,
  Patterns,
  PipelineSource,
  PullRequestEvent,
  PushEvent,
  TriggerEvent,
} from '../../domain/trigger.ts';
import { fits } from './patterns.ts';
import { repositoryName } from './repository-name.ts';

export function matching(sources: readonly PipelineSource[], event: TriggerEvent): readonly PipelineSource[] {
  return sources.filter((source) => concerns(source, event) && passedOver(source, event) === undefined);
}

/** True: it is about this source, whatever that makes of it. */
export function concerns(source: PipelineSource, event: TriggerEvent): boolean {
  switch (event.kind) {
    case 'push':
    case 'pull-request':
      return isRepositoryOf(source, event);
    case 'schedule':
    case 'api':
    case 'chat':
      return source.id === event.source;
    case 'channel-moved':
      return source.triggers.channel.some((channel) => isChannel(channel, event));
    case 'base-moved':
      return source.triggers.base && source.base !== undefined && isChannel(source.base, event);
    case 'pipeline-ended':
      return source.triggers.pipeline.some(({ pipeline }) => pipeline === event.pipeline);
  }
}

/** Why an event that concerns the source does not start it; undefined: it does. Paths that are unknown count as fitting. */
export function passedOver(source: PipelineSource, event: TriggerEvent): string | undefined {
  switch (event.kind) {
    case 'push':
      return pushPassedOver(source, event);
    case 'pull-request':
      return pullRequestPassedOver(source, event);
    case 'pipeline-ended': {
      const isAskedFor = source.triggers.pipeline.some(
        ({ pipeline, status }) => pipeline === event.pipeline && status.includes(event.status),
      );
      return isAskedFor ? undefined : `${event.pipeline} ended as ${event.status}`;
    }
    case 'schedule': {
      const { cron, timeZone } = event;
      const isThere = source.triggers.schedule.some((one) => one.cron === cron && one.timeZone === timeZone);
      return isThere ? undefined : 'the schedule is not in the file any more';
    }
    case 'channel-moved':
    case 'base-moved':
    case 'api':
    case 'chat':
      return undefined;
  }
}

function pushPassedOver({ triggers: { push } }: PipelineSource, event: PushEvent): string | undefined {
  if (push === undefined) return 'pushes start nothing here';
  const [, kind, name = event.ref] = /^refs\/(heads|tags)\/(.+)$/s.exec(event.ref) ?? [];
  if (kind === undefined) return `${event.ref} is neither a branch nor a tag`;
  if (!fits(kind === 'tags' ? push.tags : push.branches, name)) {
    return `no pattern lets ${kind === 'tags' ? 'the tag' : 'the branch'} ${name} in`;
  }
  // A tag names a commit that its branch has brought: which files that changed says nothing of the tag.
  return kind === 'tags' ? undefined : pathsPassedOver(push.paths, event.paths);
}

function pullRequestPassedOver(
  { triggers: { pullRequest } }: PipelineSource,
  event: PullRequestEvent,
): string | undefined {
  if (pullRequest === undefined) return 'pull requests start nothing here';
  if (event.fromFork && !pullRequest.forks) return 'pull requests from forks start nothing here';
  if (!fits(pullRequest.branches, event.base)) return `no pattern lets the branch ${event.base} in`;
  return pathsPassedOver(pullRequest.paths, event.paths);
}

function pathsPassedOver(wanted?: Patterns, changed?: readonly string[]): string | undefined {
  if (wanted === undefined || changed === undefined || changed.some((path) => fits(wanted, path)))
    return undefined;
  return 'no pattern lets any of the changed files in';
}

function isRepositoryOf(
  { id, location }: PipelineSource,
  { repository }: PushEvent | PullRequestEvent,
): boolean {
  if ('source' in repository) return repository.source === id;
  if (location.kind !== 'repository') return false;
  const name = repositoryName(location.url);
  return repository.urls.some((url) => repositoryName(url) === name);
}

function isChannel(one: ChannelName, other: ChannelName): boolean {
  return one.component === other.component && one.channel === other.channel;
}
