/**
 * A shell script that fails when a step of provisioning has left a process running: it would hold files of the
 * image open, and nothing that runs now belongs into an image. It looks at /proc itself, since an image need not
 * have `ps`, and counts what has the same root as itself, but for the first process and its own ancestors.
 */
export const LEFTOVER_EXIT_CODE = 97;
export const LEFTOVER_WORDS = 'left running by provisioning:';

export const LEFTOVER_SCRIPT = [
  'left=',
  'own=" 1 "',
  'pid=$$',
  'while [ -n "$pid" ] && [ "$pid" -gt 1 ]; do',
  '  own="$own$pid "',
  '  parent=',
  '  while read -r key value rest; do [ "$key" = PPid: ] && parent=$value; done </proc/$pid/status',
  '  pid=$parent',
  'done 2>/dev/null',
  'for folder in /proc/[0-9]*; do',
  '  pid=$' + '{folder#/proc/}',
  '  case "$own" in *" $pid "*) continue ;; esac',
  '  [ "$folder/root/" -ef / ] || continue',
  '  name=',
  '  read -r name 2>/dev/null <"$folder/comm" || continue',
  '  left="$left $name"',
  'done',
  `if [ -n "$left" ]; then echo "${LEFTOVER_WORDS}$left" >&2; exit ${LEFTOVER_EXIT_CODE}; fi`,
].join('\n');
