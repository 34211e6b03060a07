/** What a detector proposes. */
export interface DraftStep {
  readonly run: string;
  /** Why it is there: a comment beside it. */
  readonly why?: string;
}

export interface Draft {
  /** What was recognised, as in "Rails (Gemfile)". */
  readonly what: string;
  readonly kind: 'bundle' | 'container';
  readonly build: readonly DraftStep[];
  /** Undefined: what the container image starts by itself. */
  readonly run?: string;
  readonly port?: number;
  readonly health?: string;
  /** Folders in the app that it must write to. */
  readonly writable?: readonly string[];
  /** Further processes by name. */
  readonly processes: Readonly<Record<string, string>>;
  readonly migrate?: string;
  readonly values?: Readonly<Record<string, string>>;
  /** Keys that it most likely needs; they are proposed as a comment. */
  readonly likelyKeys?: readonly string[];
  /** For the author: what was guessed, what to look at. */
  readonly notes: readonly string[];
}
