import type { Role } from '../domain/audit.ts';

export interface RouteInfo {
  readonly method: 'get' | 'post' | 'put' | 'delete';
  /** Below `/api/v1`. */
  readonly path: string;
  /** The least role. A deployer is moreover held to its environments, where the operation is about one. */
  readonly role: Role;
  readonly summary: string;
  /** `json`: one answer; `events`: server-sent events; `lines`: one JSON value a line; `text`: bytes as they are. */
  readonly answers: 'json' | 'events' | 'lines' | 'text';
  /** `bytes`: its body is bytes as they are. Where they belong stands in the call: sent again, they change nothing. */
  readonly takes?: 'bytes';
  /** True: it begins work and takes `Prefer: wait=SECONDS`; 200 when it ended in time, else 202. */
  readonly begins?: boolean;
}
