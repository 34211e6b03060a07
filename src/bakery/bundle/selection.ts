/**
 * What goes into an image. Two questions, answered for one path each:
 *
 * - source: may builds see it? All but version control, the default excludes and what a build step makes itself.
 * - image: does the image hold it? What the source holds or a build made, less the author's `exclude`, and when
 *   `include` is given only what that names.
 *
 * Patterns are relative to the component's folder, as in a .dockerignore: `*` stays within a segment, `**` spans
 * them, a directory that matches takes all beneath it, and `!` in `exclude` takes back what an earlier pattern (a
 * default too) excluded. Version control folders never come back.
 */

import { KilnError } from '../../domain/errors.ts';

export interface SelectionRules {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Globs of what build steps make: never taken from the source. */
  readonly made: readonly string[];
  /** True for what builds have left: the default excludes are applied later, when the image is put together. */
  readonly keepLitter: boolean;
}

const NEVER = new Set(['.git', '.hg', '.svn', '.bzr', 'CVS']);

/** By name, anywhere: nobody wants these in an image. */
const LITTER_NAMES = new Set([
  '.DS_Store',
  'Thumbs.db',
  '.cache',
  '__pycache__',
  '.pytest_cache',
  '.mypy_cache',
  '.ruff_cache',
  '.sass-cache',
  '.parcel-cache',
  '.nyc_output',
  '.kiln',
]);
/** By name, outside dependency folders: packages may well be called so (npm has a `tmp` and a `log`). */
const OWN_LITTER_NAMES = new Set(['npm-debug.log', 'yarn-error.log', '.env', '.env.local']);
/** At the top of the component only. */
const TOP_LITTER_NAMES = new Set(['tmp', 'temp', '.tmp', 'log', 'logs', 'coverage', '.npm', '.turbo']);
const LITTER_ENDINGS = ['.log', '.pid', '.swp', '~', '.pyc'];

const DEPENDENCY_FOLDERS = new Set([
  'node_modules',
  'site-packages',
  '.venv',
  'venv',
  'vendor',
  'bower_components',
]);

export function isDependencyFolder(name: string): boolean {
  return DEPENDENCY_FOLDERS.has(name);
}

interface Pattern {
  readonly negated: boolean;
  /** What every match begins with: tested first, since it is cheap. */
  readonly literal: string;
  /** True when wildcards follow the literal. */
  readonly open: boolean;
  readonly expression: RegExp;
}

/** `litter`: excluded, but something beneath it may be taken back, so a walk looks into it. */
export type Standing = 'in' | 'litter' | 'out';

export interface WalkState {
  readonly inDependencies: boolean;
  readonly inLitter: boolean;
}

export class Selection {
  readonly #include: readonly Pattern[];
  readonly #exclude: readonly Pattern[];
  readonly #restoring: readonly Pattern[];
  readonly #made: readonly Pattern[];
  readonly #keepLitter: boolean;

  constructor(rules: SelectionRules) {
    this.#keepLitter = rules.keepLitter;
    this.#include = rules.include.map(compile);
    this.#exclude = rules.exclude.map(compile);
    this.#restoring = this.#exclude.filter((pattern) => pattern.negated);
    this.#made = rules.made.map(compile);
  }

  /** Says of one child what a walk should do, given what it knows of the folder above. */
  standing(path: string, name: string, above: WalkState): Standing {
    if (NEVER.has(name)) return 'out';
    if (this.#made.some((pattern) => matches(pattern, path))) return 'out';
    if (this.#keepLitter) return 'in';
    if (!above.inLitter && !isLitter(path, name, above.inDependencies)) return 'in';
    if (this.#restoring.some((pattern) => matches(pattern, path))) return 'in';
    return this.#restoring.some((pattern) => mayMatchBelow(pattern, path)) ? 'litter' : 'out';
  }

  /** For a path whose default excludes have been settled by `standing` or by `isBuiltLitter`. */
  inImage(path: string): boolean {
    if (this.#include.length > 0 && !this.#include.some((pattern) => matches(pattern, path))) return false;
    let excluded = false;
    for (const pattern of this.#exclude) {
      if (pattern.negated === excluded && matches(pattern, path)) excluded = !pattern.negated;
    }
    return !excluded;
  }

  /** The default excludes for what builds have left: any segment of the path may be litter. */
  isBuiltLitter(path: string): boolean {
    let inDependencies = false;
    let at = 0;
    while (at <= path.length) {
      const slash = path.indexOf('/', at);
      const end = slash === -1 ? path.length : slash;
      const name = path.slice(at, end);
      const here = path.slice(0, end);
      if (NEVER.has(name)) return true;
      if (isLitter(here, name, inDependencies)) {
        return !this.#restoring.some((pattern) => matches(pattern, path));
      }
      if (isDependencyFolder(name)) inDependencies = true;
      at = end + 1;
    }
    return false;
  }
}

function isLitter(path: string, name: string, inDependencies: boolean): boolean {
  if (LITTER_NAMES.has(name)) return true;
  if (inDependencies) return name.endsWith('.pyc');
  if (OWN_LITTER_NAMES.has(name) || (name.startsWith('.env.') && name.endsWith('.local'))) return true;
  if (path === name && TOP_LITTER_NAMES.has(name)) return true;
  return LITTER_ENDINGS.some((ending) => name.endsWith(ending));
}

function matches(pattern: Pattern, path: string): boolean {
  return path.startsWith(pattern.literal) && pattern.expression.test(path);
}

function mayMatchBelow(pattern: Pattern, path: string): boolean {
  return pattern.literal.startsWith(`${path}/`) || (pattern.open && path.startsWith(pattern.literal));
}

/** Whether one of the globs names the path or a directory above it. */
export function matcher(globs: readonly string[]): (path: string) => boolean {
  const patterns = globs.map(compile);
  return (path) => patterns.some((pattern) => matches(pattern, path));
}

function compile(text: string): Pattern {
  const negated = text.startsWith('!');
  const glob = (negated ? text.slice(1) : text).replace(/^(?:\.?\/)+/, '').replace(/\/+$/, '');
  if (glob === '' || glob === '.') return { negated, literal: '', open: false, expression: /^/ };
  const special = glob.search(/[*?[{\\]/);
  const literal = special === -1 ? glob : glob.slice(0, special);
  return { negated, literal, open: special !== -1, expression: expressionOf(glob, text) };
}

function expressionOf(glob: string, text: string): RegExp {
  try {
    return new RegExp(`^${globSource(glob)}(?:/|$)`, 'su');
  } catch (error) {
    throw new KilnError('input.invalid', `"${text}" is not a glob that can be read.`, {
      cause: error,
      next: 'Correct the pattern under image: in kiln.yaml; a set in brackets goes from a lower to a higher character.',
    });
  }
}

/** A glob as the source of a regular expression. What is not a whole construct stands for itself. */
function globSource(glob: string): string {
  let source = '';
  for (let at = 0; at < glob.length; ) {
    const rest = glob.slice(at);
    const construct =
      /^(?:(?<span>\*\*\/)|(?<all>\*\*)|(?<star>\*)|(?<one>\?)|\[(?<not>[!^]?)(?<set>\]?[^\]/]*)\]|\{(?<choice>[^{}]*)\}|\\(?<escaped>.))/su.exec(
        rest,
      );
    if (construct?.groups === undefined) {
      const character = String.fromCodePoint(glob.codePointAt(at) ?? 0);
      source += literally(character);
      at += character.length;
      continue;
    }
    source += constructSource(construct.groups);
    at += construct[0].length;
  }
  return source;
}

function constructSource(groups: Record<string, string | undefined>): string {
  if (groups.span !== undefined) return '(?:[^/]+/)*';
  if (groups.all !== undefined) return '.*';
  if (groups.star !== undefined) return '[^/]*';
  if (groups.one !== undefined) return '[^/]';
  if (groups.set !== undefined) {
    const set = groups.set.replace(/[\\\][^|]/g, '\\$&');
    return set === '' ? literally('[]') : `(?!/)[${groups.not === '' ? '' : '^'}${set}]`;
  }
  if (groups.choice !== undefined) return `(?:${groups.choice.split(',').map(globSource).join('|')})`;
  return literally(groups.escaped ?? '');
}

function literally(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
