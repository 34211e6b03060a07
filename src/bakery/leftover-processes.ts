/**
 * Shell scripts that fail when a step has left a process running: it would hold files of the image open, may write
 * them still, and nothing that runs now belongs into an image. They look at /proc themselves, since an image need not
 * have `ps`, and count what has the same root as they, but for the first process and their own ancestors.
 */
export const LEFTOVER_EXIT_CODE = 97;
export const LEFTOVER_WORDS = 'left running by provisioning:';

const LOOK = [
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
].join('\n');
const FAIL = `if [ -n "$left" ]; then echo "${LEFTOVER_WORDS}$left" >&2; exit ${LEFTOVER_EXIT_CODE}; fi`;

export const LEFTOVER_SCRIPT = `${LOOK}\n${FAIL}`;

/**
 * Runs its first argument as a script of its own first. Helpers of build tools that end by themselves when their tool
 * has ended get the time for it.
 */
export const RUN_AND_LOOK = `/bin/sh -ec "$1" || exit
look() {
${LOOK}
}
tries=0
look
while [ -n "$left" ] && [ "$tries" -lt 40 ] && sleep 0.05; do
  tries=$((tries + 1))
  look
done
${FAIL}`;
