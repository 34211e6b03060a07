import type { Revision } from './ids.ts';

/** A worker does the jobs of workers, and sees and changes nothing else. */
export type Role = 'viewer' | 'worker' | 'deployer' | 'admin';

/** Who asks. A deployer may be limited to environments, given as `level/region` with `*` for either part. */
export interface Actor {
  readonly name: string;
  readonly role: Role;
  readonly environments: readonly string[];
  /** When the token that it shows ends. */
  readonly expiresAtMs?: number;
}

export interface Token {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly environments: readonly string[];
  readonly createdAtMs: number;
  readonly expiresAtMs?: number;
}

/** A committed change that somebody may follow; its revision is its id. */
export interface KilnEvent {
  readonly revision: Revision;
  readonly atMs: number;
  /** `deployment.step`, `image.created`, `channel.moved`, … */
  readonly kind: string;
  /** What it is about: an image id, a service key, a deployment id. */
  readonly subject: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** One line of the audit log: each holds the hash of the one before, so that a rewritten past shows. */
export interface AuditEntry {
  readonly revision: Revision;
  readonly atMs: number;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly hash: string;
}
