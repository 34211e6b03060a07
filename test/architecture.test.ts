/** The arrows of ARCHITECTURE.md, checked: who may import whom, no cycles, no barrels, no vague names. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '../src');

/** What each part may import of the others, beside `domain` and itself. A release's way goes from left to right. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  domain: [],
  /** Durable small files and errors of the system: under everything that touches a disk. */
  files: [],
  /** Ending all processes of a piece of work. */
  processes: [],
  /** A client of the Docker engine, for whoever builds or runs containers. */
  docker: [],
  /** What signs requests to Amazon's services. */
  amazon: [],
  component: [],
  bakery: ['amazon', 'component', 'docker'],
  checks: ['component', 'config'],
  catalog: ['checks'],
  config: ['component'],
  deploy: ['component', 'config', 'routing/table'],
  routing: [],
  registry: ['bakery'],
  scan: ['bakery'],
  targets: ['docker'],
  store: [],
  pipeline: ['amazon', 'component', 'docker'],
  api: [],
  http: [
    'api',
    'bakery',
    'catalog',
    'checks',
    'component',
    'config',
    'deploy',
    'pipeline',
    'registry',
    'scan',
  ],
  cli: ['api', 'component', 'checks', 'docker', 'pipeline'],
};

/** The composition root and what it alone uses. */
const ROOT_FILES = [
  'main.ts',
  'server.ts',
  'server',
  'settings.ts',
  'settings-file.ts',
  'settings-addresses.ts',
];

interface SourceFile {
  readonly name: string;
  readonly imports: readonly string[];
  readonly text: string;
}

const files: readonly SourceFile[] = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .map((name) => {
    const text = readFileSync(path.join(root, name), 'utf8');
    const imports = [...text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map((match) =>
      path.relative(root, path.resolve(root, path.dirname(name), match[1] ?? '')),
    );
    return { name, imports, text };
  });

function partOf(name: string): string {
  return name.split(path.sep)[0] ?? name;
}

describe('the structure', () => {
  it('has no part that the arrows do not know', () => {
    const parts = new Set(files.map((file) => partOf(file.name)));
    const known = new Set([...Object.keys(MAY_IMPORT), ...ROOT_FILES]);
    expect([...parts].filter((part) => !known.has(part))).toEqual([]);
  });

  it('follows the arrows', () => {
    const wrong = files.flatMap((file) => {
      const part = partOf(file.name);
      if (ROOT_FILES.includes(part)) return [];
      const allowed = [part, 'domain', 'files', 'processes', ...(MAY_IMPORT[part] ?? [])];
      return file.imports
        .filter(
          (target) =>
            !allowed.some(
              (prefix) =>
                target === prefix || target.startsWith(`${prefix}${path.sep}`) || target === `${prefix}.ts`,
            ),
        )
        .map((target) => `${file.name} → ${target}`);
    });
    expect(wrong).toEqual([]);
  });

  it('lets the page know of nothing but the API and its errors', () => {
    const web = path.resolve(root, '../web');
    const wrong = readdirSync(web, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.tsx?$/.test(name))
      .flatMap((name) =>
        [...readFileSync(path.join(web, name), 'utf8').matchAll(/from '(\.[^']+)'/g)]
          .map((match) => path.relative(root, path.resolve(web, path.dirname(name), match[1] ?? '')))
          .filter((target) => !/^(api\/|domain\/errors\.ts$|\.\.\/web\/)/.test(target))
          .map((target) => `${name} → ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  it('has no cycles', () => {
    const graph = new Map(files.map((file) => [file.name, file.imports]));
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (name: string, trail: readonly string[]): void => {
      if (trail.includes(name)) {
        cycles.push([...trail.slice(trail.indexOf(name)), name].join(' → '));
        return;
      }
      if (done.has(name)) return;
      for (const next of graph.get(name) ?? []) visit(next, [...trail, name]);
      done.add(name);
    };
    for (const file of files) visit(file.name, []);
    expect(cycles).toEqual([]);
  });

  it('has no barrels and no vague names', () => {
    const vague = /((^|[/-])(utils?|helpers?|common|misc|shared)|(^|\/)index)\.ts$/;
    expect(files.map((file) => file.name).filter((name) => vague.test(name))).toEqual([]);
    const reexports = files.filter((file) => /^export (\*|\{[^}]*\}) from /m.test(file.text));
    expect(reexports.map((file) => file.name)).toEqual([]);
  });

  it('reads the environment in one place only', () => {
    const readers = files.filter((file) => file.text.includes('process.env')).map((file) => file.name);
    expect(
      readers.filter((name) => !['settings.ts', 'main.ts', path.join('cli', 'main.ts')].includes(name)),
    ).toEqual([]);
  });
});
