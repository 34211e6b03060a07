/**
 * What worker threads are asked to do. Many files cross as columns (one joined string, one array of numbers)
 * rather than as objects: copying 15,000 objects between threads costs more than looking at the files does.
 */
import type { ErrorCode } from '../../domain/errors.ts';
import type { SelectionRules } from './selection.ts';

/** Set to 1 to make a task stop at the next file. */
export type StopFlag = Int32Array;

export const SCAN_STRIDE = 7;
export const KINDS = ['file', 'symlink', 'directory'] as const;

export interface ScanTask {
  readonly kind: 'scan';
  readonly root: string;
  /** Relative paths to begin at: files, or directories with all beneath them. */
  readonly units: readonly string[];
  readonly rules: SelectionRules;
}

export interface ScanResult {
  /** Joined by NUL, which no name can hold. */
  readonly paths: string;
  /** For each path: kind, mode, size, mtime, ctime, inode, device. */
  readonly numbers: Float64Array;
  /** Targets of the symlinks, in order. */
  readonly links: readonly string[];
  /** Sockets, pipes and devices, which no image can hold. */
  readonly skipped: readonly string[];
}

export const PACK_STRIDE = 8;

/** Files to read, in order. */
export interface PackColumns {
  /** Path in the archive, joined by NUL. */
  readonly names: string;
  /** For each: kind, mode, size, offset in its file or -1 for a file of its own, mtime, ctime, inode, device. */
  readonly numbers: Float64Array;
  /** Absolute path of the file that holds the content, joined by NUL. */
  readonly files: string;
  /** Symlink targets, joined by NUL. */
  readonly links: string;
}

export interface PackTask {
  readonly kind: 'pack';
  readonly columns: PackColumns;
  /** Absolute path of the archive to make; undefined: only hash the contents. */
  readonly output: string | undefined;
}

export interface PackResult {
  /** SHA-256 in hex of the archive; empty when none was made. */
  readonly archiveHash: string;
  readonly archiveBytes: number;
  /** Hex SHA-256 of each content, joined by spaces. */
  readonly contentHashes: string;
}

export interface UnpackTask {
  readonly kind: 'unpack';
  readonly archive: string;
  readonly expectedHash: string;
  readonly destination: string;
  /** Only what stands under this folder of the archive is extracted, without it. */
  readonly strip: string;
  /** Modes without any write bit. */
  readonly readOnly: boolean;
}

export interface UnpackResult {
  /** Made at the end, when no file can be written through them any more. */
  readonly symlinks: readonly (readonly [path: string, target: string])[];
  /** Relative; made for files of this layer, or entries of their own. */
  readonly folders: readonly string[];
  readonly files: number;
}

/** Makes the symlinks of an unpacked tree, whose targets have been checked, and closes its folders. */
export interface SealTask {
  readonly kind: 'seal';
  readonly root: string;
  readonly symlinks: readonly (readonly [path: string, target: string])[];
  readonly folders: readonly string[];
}

/** Reads the headers of an archive. */
export interface ListTask {
  readonly kind: 'list';
  readonly archive: string;
}

export const LIST_STRIDE = 4;

export interface ListResult {
  /** Joined by NUL. */
  readonly paths: string;
  /** For each: kind, mode, size, offset of the content. */
  readonly numbers: Float64Array;
  /** Joined by NUL; empty for all but symlinks. */
  readonly links: string;
}

/** Copies contents to real files of their own, for builds that may change them in place. */
export interface CopyTask {
  readonly kind: 'copy';
  readonly columns: PackColumns;
  /** Hex SHA-256 that each content must have, joined by spaces. */
  readonly contentHashes: string;
  readonly destination: string;
}

export interface TaskResults {
  readonly scan: ScanResult;
  readonly pack: PackResult;
  readonly unpack: UnpackResult;
  readonly seal: { readonly folders: number };
  readonly list: ListResult;
  readonly copy: { readonly files: number };
}

export type Task = ScanTask | PackTask | UnpackTask | SealTask | ListTask | CopyTask;

export interface TaskMessage {
  readonly task: Task;
  readonly stop: StopFlag;
}

export interface TaskFailure {
  readonly failed: {
    /** Of a KilnError, or undefined. */
    readonly code: ErrorCode | undefined;
    /** Of the operating system, such as ENOSPC. */
    readonly systemCode: string | undefined;
    readonly message: string;
    readonly next: string | undefined;
  };
}
