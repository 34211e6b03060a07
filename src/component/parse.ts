import type { ComponentDefinition } from '../domain/component.ts';
import { type Fault, KilnError } from '../domain/errors.ts';
import { defineComponent } from './definition.ts';
import { type Finding, foundText, pathText, place, schemaFindings } from './faults.ts';
import { type Pruned, prune } from './prune.ts';
import { ruleFindings } from './rules.ts';
import { type ComponentFile, componentFile } from './schema.ts';
import { type Path, readYaml, type YamlSource } from './yaml-source.ts';

/** Keys at the top that are the author's own, such as a home for YAML anchors. */
const OWN_KEY = /^x-/;
/** Stands for a name that is missing or wrong, so that the rules can look at the rest. */
const NAMELESS = 'nameless';
/** Each round takes out what the last one refused; the deepest file needs a few. */
const MOST_ROUNDS = 20;

/**
 * Text to definition, without its attachments. Every mistake is reported at once: fails with
 * `component-file.invalid` and faults in the order of the file.
 */
export function parseComponent(text: string, fileName: string): ComponentDefinition {
  const source = readYaml(text, fileName);
  const { file, faults } = readFile(source);
  const all = [...source.faults, ...faults];
  if (file === undefined || all.length > 0) throw invalidFile(fileName, all);
  return defineComponent(file, source.written);
}

export function invalidFile(fileName: string, found: readonly Fault[]): KilnError {
  const faults = found.toSorted(byPlace);
  const [first] = faults;
  const count = faults.length === 1 ? 'one mistake' : `${faults.length} mistakes`;
  const where = first?.location ? ` The first is in line ${first.location.line}: ${sentence(first)}.` : '';
  return new KilnError('component-file.invalid', `${fileName} has ${count}.${where}`, {
    next: 'Correct the file and try again; docs/kiln-yaml.md explains every field.',
    faults,
  });
}

function sentence(fault: Fault): string {
  return fault.path === '' ? fault.message : `${fault.path}: ${fault.message}`;
}

function byPlace(a: Fault, b: Fault): number {
  const [one, two] = [a.location, b.location];
  return (one?.line ?? 0) - (two?.line ?? 0) || (one?.column ?? 0) - (two?.column ?? 0);
}

function readFile(source: YamlSource): { file?: ComponentFile; faults: readonly Fault[] } {
  if (source.value === undefined) return { faults: [] };
  const raw = withoutOwnKeys(source.value);
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    return { faults: [place(notAMap(raw), source)] };
  }
  const checked = componentFile.safeParse(raw);
  const findings = checked.success ? [] : schemaFindings(checked.error.issues, raw, source);
  const readable = checked.success ? { file: checked.data, restore: unchanged } : readablePart(raw, source);
  const rules = readable === undefined ? [] : ruleFindings(readable.file, raw);
  const refused = new Set(findings.map(({ path }) => pathText(path)));
  const further = rules
    .map((found) => ({ ...found, path: readable?.restore(found.path) ?? found.path }))
    .filter(({ path }) => !refused.has(pathText(path)));
  const faults = [...findings, ...further].map((found) => place(found, source));
  return { ...(checked.success && { file: checked.data }), faults };
}

function unchanged(path: Path): Path {
  return path;
}

function notAMap(raw: unknown): Finding {
  if (raw === null)
    return { path: [], at: 'value', message: 'the file is empty', expected: '"component", "image", …' };
  return {
    path: [],
    at: 'value',
    message: 'not a component',
    found: foundText(raw),
    expected: 'a map of keys and values',
  };
}

function withoutOwnKeys(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => !OWN_KEY.test(key)));
}

/** What is left when everything that the schema refuses is taken out; undefined: nothing worth looking at. */
function readablePart(
  raw: object,
  source: YamlSource,
): { file: ComponentFile; restore: Pruned['restore'] } | undefined {
  const without: Path[] = [];
  let nameless = false;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const pruned = prune(raw, without);
    const value = nameless ? { ...asObject(pruned.value), component: NAMELESS } : pruned.value;
    const checked = componentFile.safeParse(value);
    if (checked.success) return { file: checked.data, restore: pruned.restore };
    for (const { path, missing } of schemaFindings(checked.error.issues, value, source)) {
      const refused = missing ? path.slice(0, -1) : path;
      if (refused.length === 0 || path[0] === 'component') nameless = true;
      else without.push(pruned.restore(refused));
    }
  }
  return undefined;
}

function asObject(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}
