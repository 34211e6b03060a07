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
