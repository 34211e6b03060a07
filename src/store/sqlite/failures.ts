/** SQLite's result codes (https://www.sqlite.org/rescode.html) as Kiln's. */
import { KilnError } from '../../domain/errors.ts';

const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;
/** The shared-memory file could not be made larger: how a full tmpfs shows in WAL mode. */
const IOERR_SHMSIZE = 4874;

/** Extended result code, or undefined when SQLite did not throw this. */
function resultCode(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('errcode' in thrown)) return undefined;
  return typeof thrown.errcode === 'number' ? thrown.errcode : undefined;
}

export function isBusy(thrown: unknown): boolean {
  const primary = (resultCode(thrown) ?? 0) & 0xff;
  return primary === BUSY || primary === LOCKED;
}

/** True when the disk failed, so that nobody knows how much of a commit it holds. */
export function isDiskFailure(thrown: unknown): boolean {
  const code = resultCode(thrown) ?? 0;
  return (code & 0xff) === IOERR && code !== IOERR_SHMSIZE;
}

export function sqliteFailure(thrown: unknown, file: string): unknown {
  const code = resultCode(thrown);
  if (code === undefined || !(thrown instanceof Error)) return thrown;
  const cause = thrown;
  const details = { file, sqliteCode: code };
  if (isBusy(thrown)) {
    return new KilnError('store.busy', `Another process keeps writing to ${file}.`, {
      cause,
      details,
      retryable: true,
      next: 'Try again; if it stays so, look for a second Kiln on this state directory.',
    });
  }
  const primary = code & 0xff;
  if (primary === FULL || code === IOERR_SHMSIZE) {
    return new KilnError('disk.full', `The disk that holds ${file} is full.`, {
      cause,
      details,
      retryable: true,
      next: 'Free some space, then try again; nothing acknowledged was lost.',
    });
  }
  if (primary === CORRUPT || primary === NOTADB) {
    return new KilnError('store.damaged', `The database file ${file} is damaged: ${thrown.message}.`, {
      cause,
      details,
      next: 'Stop Kiln, keep a copy of the file, and restore it from a backup.',
    });
  }
  if (primary === IOERR) {
    return new KilnError('store.lost', `The disk failed while using ${file}: ${thrown.message}.`, {
      cause,
      details,
      next: 'Check the disk (dmesg names the fault), then restart Kiln and look at what it holds.',
    });
  }
  if (primary === CANTOPEN || primary === READONLY) {
    return new KilnError('input.invalid', `The database file ${file} cannot be written.`, {
      cause,
      details,
      next: 'Check the owner and the mode of the file and of its directory.',
    });
  }
  return new KilnError('internal', `SQLite refused a statement: ${thrown.message}.`, { cause, details });
}
