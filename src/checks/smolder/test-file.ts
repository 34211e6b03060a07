/** What a check file says, after it has been read and given its defaults. Made by `parse.ts`. */
import type { FaultLocation } from '../../domain/errors.ts';

export const PROTOCOLS = ['tcp', 'http', 'https', 'ldap', 'ldaps'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

export type Pair = readonly [name: string, value: string];

export interface UploadedFile {
  readonly field: string;
  readonly filename: string;
  readonly content: string;
  readonly type?: string;
}

export type RequestBody =
  | { readonly kind: 'none' }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'form'; readonly fields: readonly Pair[] }
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'multipart'; readonly fields: readonly Pair[]; readonly files: readonly UploadedFile[] };

/** True: the system's authorities; false: any certificate; text: a file of authorities (PEM). */
export type Verify = boolean | string;

export interface RequestInputs {
  readonly headers: readonly Pair[];
  /** Limit for the whole test, redirects and body included. */
  readonly timeoutMs: number;
  readonly allowRedirects: boolean;
  readonly verify: Verify;
  readonly auth?: { readonly username: string; readonly password: string };
  readonly cookies: readonly Pair[];
  readonly params: readonly Pair[];
  readonly body: RequestBody;
}

export interface LdapInputs {
  readonly bindDn?: string;
  readonly bindPassword?: string;
  readonly dn?: string;
  /** Attribute and the value that the entry at `dn` must have for it. */
  readonly expected: readonly Pair[];
}

/** Hides the test's secrets in a text. Whatever of an answer goes into a message passes it first, before it is cut. */
export type Mask = (text: string) => string;

export interface HttpAnswer {
  readonly kind: 'http';
  readonly status: number;
  /** Lower-case names; repeated headers joined by `, `. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
  readonly durationMs: number;
  readonly mask: Mask;
}

export interface LdapAnswer {
  readonly kind: 'ldap';
  readonly comparisons: readonly {
    readonly attribute: string;
    readonly matched: boolean;
    /** What the entry holds instead; empty when it has no such attribute, or may not be read. */
    readonly actual: readonly string[];
  }[];
  readonly durationMs: number;
  readonly mask: Mask;
}

export type Answer = HttpAnswer | LdapAnswer;

type Status = 'pass' | 'fail';

/** One line of the report: one checked entry of an outcome. */
export interface OutcomeResult {
  readonly name: string;
  readonly message: string;
  readonly status: Status;
}

export interface Outcome {
  readonly name: string;
  /** Pure: what the answer says about this outcome, one result for each of its entries. */
  check(answer: Answer): readonly OutcomeResult[];
}

export interface SmokeTest {
  readonly name: string;
  readonly uri: string;
  /** Absent: what the address says, or http. */
  readonly protocol?: Protocol;
  /** Absent: what the address says, or the protocol's own. */
  readonly port?: number;
  /** Upper-case. */
  readonly method: string;
  /** True: the port must accept a connection before the request is sent. */
  readonly tcpTest: boolean;
  readonly showBody: boolean;
  readonly colour: boolean;
  readonly inputs: RequestInputs;
  readonly ldap: LdapInputs;
  readonly outcomes: readonly Outcome[];
  readonly location: FaultLocation;
}

export function passed(name: string, message: string): OutcomeResult {
  return { name, message, status: 'pass' };
}

export function failed(name: string, message: string): OutcomeResult {
  return { name, message, status: 'fail' };
}
