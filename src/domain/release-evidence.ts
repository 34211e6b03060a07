/** What somebody who decides on a release is shown: what it is, what it replaces, and what speaks for and against it. */
import type { Difference, FileChange } from './difference.ts';
import type { ChannelName, ComponentName, EnvironmentName, ImageId, ReleaseNumber } from './ids.ts';
import type { CheckResult } from './image.ts';

/** A part that was found out, or why it could not be: "none" never looks like "broken". */
export type Part<Value extends object> =
  | (Value & { readonly known: true })
  | { readonly known: false; readonly why: string };

/** Of many, the first ones. */
export interface Listed<Item> {
  readonly count: number;
  readonly items: readonly Item[];
}

export interface EvidentImage {
  readonly id: ImageId;
  readonly component: ComponentName;
  readonly version: string;
  readonly commit?: string | undefined;
  readonly sizeBytes: number;
  readonly createdAtMs: number;
}

/** What runs in the environment now. */
export type Replaced =
  /** No environment was named. */
  | { readonly kind: 'unasked' }
  /** It would be the first release there. */
  | { readonly kind: 'nothing'; readonly environment: EnvironmentName }
  | {
      readonly kind: 'release';
      readonly environment: EnvironmentName;
      readonly number: ReleaseNumber;
      readonly image: ImageId;
      readonly version: string;
      readonly commit?: string | undefined;
      /** Absent: the image has been swept. */
      readonly sizeBytes?: number | undefined;
      /** Somebody has stopped the service. */
      readonly stopped: boolean;
    };

export interface InsideChanges {
  readonly files: Listed<FileChange>;
  readonly packages: Listed<Difference>;
}

/** Names alone, sorted: any value may be secret. */
export interface ConfigChanges {
  /** Keys. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
  /** Rendered files. */
  readonly files: readonly FileChange[];
}

/** `never`: nobody has looked, which is not the same as nothing found. */
export type ScanEvidence =
  | { readonly scanned: false }
  | {
      readonly scanned: true;
      readonly passed: boolean;
      /** What the policy forbids: `GHSA-… high in pkg:npm/…`. */
      readonly blocking: Listed<string>;
      readonly waived: number;
      readonly noted: number;
      readonly atMs: number;
    };

export interface KnownEvidence {
  readonly image: EvidentImage;
  /** That hold it now. */
  readonly channels: readonly ChannelName[];
  readonly replaces: Replaced;
  /** Why a deployment would be refused as things stand: it is revoked, was never promoted, or lacks configuration. */
  readonly refused?: string | undefined;
  /** Beside version, commit and time; absent where nothing runs to compare with, or its image has been swept. */
  readonly tags?: readonly Difference[] | undefined;
  /** Absent where nothing runs that it could be compared with. */
  readonly inside?: Part<InsideChanges> | undefined;
  /** Absent where no environment was named; of a first release all keys are added. */
  readonly config?: Part<ConfigChanges> | undefined;
  /** Absent as `inside` is. */
  readonly settings?: Part<{ readonly items: readonly Difference[] }> | undefined;
  /** The latest of each kind at each place; scans are apart. None: it was never checked. */
  readonly checks: readonly CheckResult[];
  readonly scan: Part<ScanEvidence>;
}

/** As an approval names them. */
export interface AskedRelease {
  readonly image: string;
  readonly environment?: string | undefined;
}

export type ReleaseEvidence = { readonly asked: AskedRelease } & Part<KnownEvidence>;
