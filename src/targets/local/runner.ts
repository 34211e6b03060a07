/**
 * Starts one command so that its pid and its exit code are on disk though the server that started it is gone:
 * bubblewrap writes them to a file by itself; without it a few lines of shell do the same.
 */
import { constants } from 'node:os';

/** The descriptor that the runner appends its status lines to. */
export const STATUS_FD = 3;

/**
 * Constant text; the command comes as arguments. The command runs in the foreground of a subshell, since a
 * shell makes what it runs in the background deaf to SIGINT; `read` sees the subshell's own pid. What the shell
 * itself would say of a signal is not the app's output.
 */
const RUNNER = `trap : TERM INT HUP QUIT
exec 4>&2 2>/dev/null
(
  read -r pid rest </proc/self/stat
  echo "{ \\"child-pid\\": $pid }" >&3
  exec "$@" 2>&4 3>&- 4>&-
)
echo "{ \\"exit-code\\": $? }" >&3`;

export function plainCommand(command: readonly string[]): readonly string[] {
  return ['/bin/sh', '-c', RUNNER, 'kiln-runner', ...command];
}

/** Words that a shell understands as more than the name of a program. */
const SHELL_WORDS = new Set(
  '. : ! { [ [[ alias bg break case cd command continue eval exec exit export fg for if jobs read readonly return set shift source test time times trap type ulimit umask unalias unset until wait while'.split(
    ' ',
  ),
);

/**
 * The author's line for a shell. A simple command takes the shell's place, so that signals reach the program
 * itself and its exit is its own; a compound line stays with the shell.
 */
export function shellCommand(line: string): readonly string[] {
  const text = line.trim();
  const [program = ''] = text.split(/\s/, 1);
  const simple = !/[;&|<>()`\n#]|\$\(/.test(text) && /^[\w./-]+$/.test(program) && !SHELL_WORDS.has(program);
  return ['/bin/sh', '-c', simple ? `exec ${text}` : text];
}

export interface RunnerStatus {
  /** The process that the runner started; bubblewrap's is the init of the sandbox. */
  readonly childPid?: number;
  /** 128 and the signal's number when a signal ended it. */
  readonly exitCode?: number;
}

/** A line that is not whole yet says nothing. */
export function parseStatus(text: string): RunnerStatus {
  const childPid = /"child-pid": (\d+)[ ,}]/.exec(text)?.[1];
  const exitCode = /"exit-code": (\d+)[ ,}]/.exec(text)?.[1];
  return {
    ...(childPid === undefined ? {} : { childPid: Number(childPid) }),
    ...(exitCode === undefined ? {} : { exitCode: Number(exitCode) }),
  };
}

export interface ExitStatus {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** Shells and bubblewrap give 128 + n for an end by signal n. */
export function exitStatus(code: number): ExitStatus {
  const signal = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0];
  return signal === undefined ? { exitCode: code, signal: null } : { exitCode: null, signal };
}

export function describeExit({ exitCode, signal }: ExitStatus): string {
  if (signal !== null) return `ended by ${signal}`;
  return exitCode === null ? 'ended, nobody saw how' : `exited with code ${exitCode}`;
}
