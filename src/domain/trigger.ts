/**
 * What starts pipelines by itself. A *source* is a pipeline that Kiln watches: where it is kept, and what starts it.
 * A *trigger event* is something that happened, told by whoever saw it; it starts the sources that ask for it.
 */
import type { Role } from './audit.ts';

/** Where a pipeline is kept: a git repository, or a folder on the server's machine that is used as it is. */
export type SourceLocation =
  | { readonly kind: 'repository'; readonly url: string }
  | { readonly kind: 'folder'; readonly path: string };

/**
 * Patterns of branches, tags or paths: `*` stands for anything but `/`, `**` for anything, `?` for one character.
 * One that begins with `!` takes away what those before it have let in. None at all lets nothing in.
 */
export type Patterns = readonly string[];

export interface PushTrigger {
  readonly branches: Patterns;
  readonly tags: Patterns;
  /** Absent: any path. */
  readonly paths?: Patterns;
}

export interface PullRequestTrigger {
  /** Those that it wants to change. */
  readonly branches: Patterns;
  readonly paths?: Patterns;
  /** True: forks' too, without secrets and without any right; otherwise they start nothing. */
  readonly forks: boolean;
}

export interface ScheduleTrigger {
  readonly cron: string;
  /** IANA name, such as `Europe/London`. */
  readonly timeZone: string;
  /** What becomes of times that passed while no server was there: run once for all of them, or not at all. */
  readonly missed: 'once' | 'skip';
}

/** `component:channel`. */
export interface ChannelName {
  readonly component: string;
  readonly channel: string;
}

export interface PipelineTrigger {
  readonly pipeline: string;
  readonly status: readonly string[];
}

/** What a `pipeline.yaml` says under `Triggers`. */
export interface Triggers {
  readonly push?: PushTrigger;
  readonly pullRequest?: PullRequestTrigger;
  readonly schedule: readonly ScheduleTrigger[];
  readonly channel: readonly ChannelName[];
  /** The channel of the component's base image. */
  readonly base: boolean;
  readonly pipeline: readonly PipelineTrigger[];
  /** What happens when an execution of the same branch is open: wait for its end, or have it cancelled. */
  readonly onOpen: 'queue' | 'newest';
}

export interface CheckoutOptions {
  /** So many commits back; absent: the whole history. */
  readonly depth?: number;
  readonly submodules: boolean;
  readonly lfs: boolean;
}

export interface PipelineSource {
  readonly id: string;
  /** The component, which the pipeline is called by. */
  readonly component: string;
  readonly location: SourceLocation;
  /** Folder of the component in the repository; empty: its root. */
  readonly directory: string;
  /** Absent: `pipeline.yaml`, or the default pipeline where there is none. */
  readonly file?: string;
  /** Whose pipeline says what triggers it; where it starts from, unless an event says otherwise. */
  readonly branch: string;
  readonly triggers: Triggers;
  readonly checkout: CheckoutOptions;
  /** The channel that the component's image is baked on. */
  readonly base?: ChannelName;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** How often its repository is looked at; absent: never. */
  readonly pollEveryMs?: number;
  /** Who registered it: executions may do what that person may, and no more. */
  readonly owner: { readonly actor: string; readonly role: Role; readonly environments: readonly string[] };
  readonly createdAtMs: number;
}

interface Told {
  /** The teller's own name for this telling, such as a webhook's delivery: heard twice, it counts once. */
  readonly delivery?: string;
  /** Who did it, in the words of whoever tells. */
  readonly sender?: string;
}

/** A branch or a tag stands at a commit where it did not stand before. */
export interface PushEvent extends Told {
  readonly kind: 'push';
  /** Any of the repository's addresses; or the id of the one source that is meant. */
  readonly repository: RepositoryName;
  /** `refs/heads/main`, `refs/tags/v1.2.0`. */
  readonly ref: string;
  readonly commit: string;
  /** Absent: unknown, or the ref is new. */
  readonly before?: string;
  /** Files that differ; absent: unknown, and found out from the repository. */
  readonly paths?: readonly string[];
}

export type RepositoryName = { readonly urls: readonly string[] } | { readonly source: string };

/**
 * Somebody proposes a change. Whoever may push to the repository itself is trusted with its secrets; a fork is
 * anybody's, so that an event of a fork that is trusted cannot be written down.
 */
export type PullRequestEvent = Told & {
  readonly kind: 'pull-request';
  readonly repository: RepositoryName;
  readonly number: number;
  readonly commit: string;
  /** Branch that it wants to change. */
  readonly base: string;
  /** Ref of the repository that holds the commit, such as `refs/pull/7/head`. */
  readonly ref: string;
  /** Where that ref is found, when not in the repository itself. */
  readonly from?: string;
  readonly paths?: readonly string[];
  readonly title?: string;
} & (
    | { readonly fromFork: false; readonly trusted: true }
    | { readonly fromFork: true; readonly trusted: false }
  );

/** What is about one source, and not about its repository. */
export interface ScheduleEvent {
  readonly kind: 'schedule';
  readonly source: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly dueAtMs: number;
}

export interface ChannelMovedEvent extends ChannelName {
  readonly kind: 'channel-moved';
  readonly image: string;
  readonly revision: number;
}

export interface BaseMovedEvent extends ChannelName {
  readonly kind: 'base-moved';
  readonly image: string;
  readonly revision: number;
}

export interface PipelineEndedEvent {
  readonly kind: 'pipeline-ended';
  readonly pipeline: string;
  readonly execution: string;
  readonly status: string;
}

/** Somebody asks for it, over the API or in a chat. */
export interface AskedEvent {
  readonly kind: 'api' | 'chat';
  readonly source: string;
  /** Unique to this wish. */
  readonly delivery: string;
  readonly sender: string;
  /** Branch, tag or commit; absent: the source's branch. */
  readonly at?: string;
  readonly parameters?: Readonly<Record<string, unknown>>;
}

export type TriggerEvent =
  | PushEvent
  | PullRequestEvent
  | ScheduleEvent
  | ChannelMovedEvent
  | BaseMovedEvent
  | PipelineEndedEvent
  | AskedEvent;
