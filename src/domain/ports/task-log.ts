/** Where the output of a pipeline's commands goes while they run. */

/** One task's log: what is written is masked before it is kept anywhere, and can be followed at once. */
export interface TaskLog {
  /** Output as it comes, in any pieces. Wait for it before the next: that is what holds a fast task back. */
  write(bytes: Uint8Array): Promise<void>;
  /** What is written from here on belongs to this group: a command, a checkout, a service. */
  group(title: string): Promise<void>;
  /** The last bytes that were written, masked, as text: what the task's result shows. */
  tail(limitBytes: number): Promise<string>;
  /** Durable and complete when it resolves; nothing is written afterwards. */
  close(): Promise<void>;
}

export interface TaskLogAbout {
  /** The task's key: `EXECUTION/TASK`, unique to the attempt. */
  readonly key: string;
  readonly execution: string;
  readonly pipeline: string;
  readonly state: string;
  /** Texts that must not be in the log, in whatever way they are cut. */
  readonly secrets: readonly string[];
}

export interface TaskLogs {
  open(about: TaskLogAbout): Promise<TaskLog>;
}

/** Where a log is. That of a task which was asked for again, after its server had died, is in two places. */
export interface LogPlace {
  readonly execution: string;
  /** The task's name in its execution. */
  readonly task: string;
  /** Id of the server that wrote it, or writes it. */
  readonly server: string;
  readonly state: string;
  readonly startedAtMs: number;
}

export interface LogPlaceStore {
  note(place: LogPlace): Promise<void>;
  /** Newest first; they go with their execution. */
  of(execution: string): Promise<readonly LogPlace[]>;
}
