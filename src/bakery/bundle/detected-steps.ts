/**
 * Knows the install commands of common package managers: what they read and what they make, so that such a step is
 * cached without being told. Pure. Where it cannot be sure, the step sees the whole source and is not cached.
 */
import type { BuildStep } from '../../domain/component.ts';

export type StepSight =
  /** Sees only these, is cached by them. */
  | {
      readonly kind: 'inputs';
      readonly inputs: readonly string[];
      readonly outputs: readonly string[] | undefined;
    }
  /** Sees everything, is run each time. */
  | { readonly kind: 'everything'; readonly why: string };

/** What detection may ask of the source. */
export interface SourceFacts {
  /** Texts of every `package.json` outside dependency folders, by path. */
  readonly packageJson: ReadonlyMap<string, string>;
}

interface Manager {
  readonly command: RegExp;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly usesPackageJson: boolean;
}

const NODE_FILES = ['package.json', '.npmrc'];
const WORD = '(?: +[\\w@%+=:,./~^-]+)*';

const MANAGERS: readonly Manager[] = [
  {
    command: /^npm(?: +--?[\w-]+(?:=\S+)?)* +(?:ci|install|i)(?: +--?[\w-]+(?:=[\w./:@-]+)?)*$/,
    inputs: [...NODE_FILES, 'package-lock.json', 'npm-shrinkwrap.json'],
    outputs: ['node_modules', '**/node_modules'],
    usesPackageJson: true,
  },
  {
    command: /^yarn(?: +install)?(?: +--?[\w-]+(?:=\S+)?)*$/,
    inputs: [
      ...NODE_FILES,
      'yarn.lock',
      '.yarnrc',
      '.yarnrc.yml',
      '.yarn/releases',
      '.yarn/plugins',
      '.yarn/patches',
    ],
    outputs: [
      'node_modules',
      '**/node_modules',
      '.pnp.*',
      '.yarn/cache',
      '.yarn/unplugged',
      '.yarn/install-state.gz',
    ],
    usesPackageJson: true,
  },
  {
    command: /^pnpm +(?:install|i)(?: +--?[\w-]+(?:=\S+)?)*$/,
    inputs: [...NODE_FILES, 'pnpm-lock.yaml', 'pnpm-workspace.yaml', '.pnpmfile.cjs', 'patches'],
    outputs: ['node_modules', '**/node_modules'],
    usesPackageJson: true,
  },
  {
    command: new RegExp(`^bundle +(?:install|config)${WORD}$`),
    inputs: [
      'Gemfile',
      'Gemfile.lock',
      'gems.rb',
      'gems.locked',
      '*.gemspec',
      '.ruby-version',
      '.tool-versions',
      '.bundle',
    ],
    outputs: ['vendor/bundle', '.bundle'],
    usesPackageJson: false,
  },
  {
    command: new RegExp(`^(?:\\S*/)?(?:pip3?|python3? +-m +pip) +install${WORD} +-r *\\S+${WORD}$`),
    inputs: ['requirements*.txt', 'requirements', 'constraints*.txt'],
    outputs: ['.venv', 'venv', 'site-packages'],
    usesPackageJson: false,
  },
  {
    command: new RegExp(`^python3? +-m +venv${WORD}$`),
    inputs: ['.python-version'],
    outputs: ['.venv', 'venv'],
    usesPackageJson: false,
  },
  {
    command: new RegExp(`^(?:poetry +install|uv +sync)${WORD} +--no-(?:root|install-project)${WORD}$`),
    inputs: ['pyproject.toml', 'poetry.lock', 'poetry.toml', 'uv.lock', '.python-version'],
    outputs: ['.venv'],
    usesPackageJson: false,
  },
  {
    command: new RegExp(`^composer +install${WORD} +--no-(?:scripts|autoloader)${WORD}$`),
    inputs: ['composer.json', 'composer.lock', 'auth.json'],
    outputs: ['vendor'],
    usesPackageJson: false,
  },
  {
    command: /^go +mod +(?:download|vendor)$/,
    inputs: ['go.mod', 'go.sum', 'go.work', 'go.work.sum'],
    outputs: ['vendor'],
    usesPackageJson: false,
  },
];

/** `a && b` in plain words is two steps, so that each may be cached; whatever else a shell knows stays whole. */
export function splitSteps(steps: readonly BuildStep[]): BuildStep[] {
  return steps.flatMap((step) => {
    if (step.inputs !== undefined || step.outputs !== undefined) return [step];
    const commands = step.run.split(/&&|\n/).map((command) => command.trim());
    const plain = commands.filter((command) => command !== '');
    const simple = plain.every((command) => /^[\w@%+=:,./~^ -]+$/.test(command) && !changesShell(command));
    return simple && plain.length > 1 ? plain.map((run) => ({ ...step, run })) : [step];
  });
}

/** What follows in the same shell would feel it. */
function changesShell(command: string): boolean {
  return (
    /^(?:cd|export|set|unset|source|\.|exec|exit|umask|ulimit|alias|trap|eval)\b/.test(command) ||
    /^\w+=/.test(command)
  );
}

export function sightOf(step: BuildStep, facts: SourceFacts): StepSight {
  if (step.inputs !== undefined) return { kind: 'inputs', inputs: step.inputs, outputs: step.outputs };
  const run = step.run.trim().replace(/ +/g, ' ');
  const manager = MANAGERS.find((candidate) => candidate.command.test(run));
  if (manager === undefined) {
    return { kind: 'everything', why: 'it names no inputs and is not a known install command' };
  }
  const doubt = manager.usesPackageJson ? doubtOf(run, facts) : undefined;
  if (doubt !== undefined) return { kind: 'everything', why: doubt };
  return { kind: 'inputs', inputs: [...manager.inputs, ...workspaceInputs(facts)], outputs: step.outputs };
}

/** What the steps make themselves, so that it is not taken from the source. */
export function madeBy(step: BuildStep): readonly string[] {
  if (step.outputs !== undefined) return step.outputs;
  const run = step.run.trim().replace(/ +/g, ' ');
  return MANAGERS.find((candidate) => candidate.command.test(run))?.outputs ?? [];
}

const INSTALL_SCRIPTS = [
  'preinstall',
  'install',
  'postinstall',
  'prepare',
  'prepublish',
  'preprepare',
  'postprepare',
];

/** Why an install may read more than its lock files; undefined: it does not. */
function doubtOf(run: string, { packageJson }: SourceFacts): string | undefined {
  for (const [path, text] of packageJson) {
    if (path !== 'package.json' && workspaceInputs({ packageJson }).length === 0) continue;
    const manifest = parseObject(text) ?? {};
    const scripts = isObject(manifest.scripts) ? manifest.scripts : {};
    const script = INSTALL_SCRIPTS.find((name) => name in scripts);
    if (script !== undefined && !run.includes('--ignore-scripts')) {
      return `${path} has a ${script} script, which may read any file`;
    }
    for (const group of ['dependencies', 'devDependencies', 'optionalDependencies']) {
      const wanted = manifest[group];
      if (!isObject(wanted)) continue;
      const local = Object.entries(wanted).find(([, range]) => /^(?:file|link|portal):/.test(String(range)));
      if (local !== undefined) return `${path} takes ${local[0]} from a local folder`;
    }
  }
  return undefined;
}

function workspaceInputs({ packageJson }: SourceFacts): readonly string[] {
  const manifest = parseObject(packageJson.get('package.json'));
  return manifest !== undefined && 'workspaces' in manifest ? ['**/package.json'] : [];
}

function parseObject(text: string | undefined): Record<string, unknown> | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    // Whoever runs the install will say what is wrong with it.
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
