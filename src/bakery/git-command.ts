/**
 * How git is called on somebody's repository. It may belong to another user than the server: it is only read, so the
 * check for that is switched off, and with it whatever of the repository's configuration would start a program.
 */
export function gitArguments(directory: string, argv: readonly string[]): readonly string[] {
  const safe = ['-c', 'safe.directory=*', '-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null'];
  return ['-C', directory, ...safe, ...argv];
}

/** Never asks anybody anything, never writes its index, never fetches what is not there. */
export const GIT_ENVIRONMENT = {
  PATH: '/usr/local/bin:/usr/bin:/bin',
  LC_ALL: 'C',
  GIT_OPTIONAL_LOCKS: '0',
  GIT_TERMINAL_PROMPT: '0',
  GIT_NO_LAZY_FETCH: '1',
};
