/**
 * Starts one command so that its pid and its exit code are on disk though the server that started it is gone:
 * bubblewrap writes them to a file by itself; without it a few lines of shell do the same.
 */
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
