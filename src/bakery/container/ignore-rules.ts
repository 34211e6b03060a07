/** `.dockerignore`, as docs.docker.com/build/concepts/context describes it: the last rule that matches decides. Pure. */

export interface IgnoreRules {
  ignores(path: string): boolean;
  /** False: nothing below an ignored folder can be taken back, so it need not be looked into. */
  readonly hasExceptions: boolean;
}

/** A history that changes with every commit would make every build a new one; `!.git` takes it back. */
const DEFAULT_RULES = ['.git'];

export function ignoreRules(text: string): IgnoreRules {
  const rules = [...DEFAULT_RULES, ...text.split('\n')].flatMap((line) => {
    const trimmed = line.trim();
    if (trimmed === '' || trimmed.startsWith('#')) return [];
    const negated = trimmed.startsWith('!');
    const pattern = tidy(negated ? trimmed.slice(1).trim() : trimmed);
    return pattern === '' ? [] : [{ negated, matches: expression(pattern) }];
  });
  return {
    hasExceptions: rules.some((rule) => rule.negated),
    ignores: (path) => {
      let ignored = false;
      for (const { negated, matches } of rules) if (matches.test(path)) ignored = !negated;
      return ignored;
    },
  };
}

function tidy(pattern: string): string {
  const parts = pattern.split('/').filter((part) => part !== '' && part !== '.');
  return parts.join('/');
}

/** A rule matches a path, and all that lies below it. */
function expression(pattern: string): RegExp {
  let source = '';
  for (let at = 0; at < pattern.length; at += 1) {
    const char = pattern[at] ?? '';
    if (pattern.startsWith('**/', at)) {
      source += '(?:.*/)?';
      at += 2;
    } else if (pattern.startsWith('**', at)) {
      source += '.*';
      at += 1;
    } else if (char === '*') source += '[^/]*';
    else if (char === '?') source += '[^/]';
    else if (char === '\\' && at + 1 < pattern.length) {
      at += 1;
      source += escaped(pattern[at] ?? '');
    } else if (char === '[' && pattern.indexOf(']', at) > at) {
      const end = pattern.indexOf(']', at);
      source += pattern.slice(at, end + 1);
      at = end;
    } else source += escaped(char);
  }
  return new RegExp(`^${source}(?:/.*)?$`, 's');
}

function escaped(char: string): string {
  return char.replace(/[.*+?^${}()|[\]\\/]/, '\\$&');
}
