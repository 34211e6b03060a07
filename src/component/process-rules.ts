import type { ProcessSpec, VolumeSpec } from '../domain/component.ts';
import { tidyPath } from './definition.ts';
import type { Finding } from './faults.ts';
import { WEB } from './merge.ts';
import { finding, isWritten, processPath, type Scope } from './scope.ts';

/** Where a volume would hide what the system itself needs. */
const SYSTEM_FOLDERS = ['/proc', '/sys', '/dev'];

export function processFindings(scope: Scope): readonly Finding[] {
  return [
    ...scope.spec.processes.flatMap((process) => [
      ...runFindings(scope, process),
      ...listenFindings(scope, process),
      ...boundsFindings(scope, process),
      ...stopFindings(scope, process),
      ...volumeFindings(scope, process),
    ]),
    ...heldTwiceFindings(scope),
  ];
}

function runFindings(scope: Scope, { name, run }: ProcessSpec): readonly Finding[] {
  if (run !== '' || scope.file.image?.kind === 'container') return [];
  if (name === WEB && isWritten(scope.raw, ['image', 'run'])) return [];
  const expected = name === WEB ? 'image.run, or a command line here' : 'a command line';
  return [finding([...processPath(scope, name), 'run'], '"run" is missing', { at: 'key', expected })];
}

function listenFindings(scope: Scope, { name, listens, standard }: ProcessSpec): readonly Finding[] {
  if (listens) return [];
  const written = scope.merged.processes[name];
  const expected = 'a process that listens: give it a port';
  const findings: Finding[] = [];
  if (written?.health !== undefined) {
    const path = processPath(scope, name, 'health');
    findings.push(
      finding(path, `"${name}" does not listen, so its health cannot be asked`, { at: 'key', expected }),
    );
  }
  if (standard) {
    const path = processPath(scope, name, 'standard');
    findings.push(
      finding(path, `"${name}" does not listen, so it has no standard endpoints`, { at: 'key', expected }),
    );
  }
  if (written?.listens === false && written.port !== undefined) {
    const path = processPath(scope, name, 'port');
    findings.push(
      finding(path, `"${name}" has a port but "listens: false"`, { at: 'key', expected: 'one or the other' }),
    );
  }
  return findings;
}

function boundsFindings(scope: Scope, { name, instances, listens }: ProcessSpec): readonly Finding[] {
  const { min, desired, max } = instances;
  const path = processPath(scope, name, 'instances');
  if (min > desired || desired > max) {
    const found = `min ${min}, desired ${desired}, max ${max}`;
    return [finding(path, 'the bounds do not fit together', { found, expected: 'min ≤ desired ≤ max' })];
  }
  if (listens && desired === 0) {
    return [finding(path, `"${name}" takes requests`, { found: '0 instances', expected: 'at least 1' })];
  }
  return [];
}

function stopFindings(scope: Scope, { name, stop }: ProcessSpec): readonly Finding[] {
  const early = stop.signals.indexOf('SIGKILL');
  if (early === stop.signals.length - 1) return [];
  const path = processPath(scope, name, 'stop', 'signals', early);
  return [finding(path, 'nothing can follow SIGKILL', { expected: 'SIGKILL at the end' })];
}

function volumeFindings(scope: Scope, process: ProcessSpec): readonly Finding[] {
  const { name, volumes, instances } = process;
  const findings = volumes.flatMap((volume, index) => {
    const path = [...processPath(scope, name, 'volumes'), index];
    const before = volumes.slice(0, index);
    return [
      ...placeFindings(volume, before, [...path, 'path']),
      ...(before.some((other) => other.name === volume.name)
        ? [
            finding([...path, 'name'], `"${name}" has the volume "${volume.name}" twice`, {
              expected: 'each name once',
            }),
          ]
        : []),
    ];
  });
  const alone = volumes.find((volume) => !volume.shared);
  if (alone === undefined || instances.max <= 1) return findings;
  const message = `only one instance may hold the volume "${alone.name}"`;
  const expected = 'at most 1 instance, or "shared: true" at the volume';
  const path = processPath(scope, name, 'instances');
  return [...findings, finding(path, message, { found: `up to ${instances.max} instances`, expected })];
}

function placeFindings(
  volume: VolumeSpec,
  before: readonly VolumeSpec[],
  path: readonly (string | number)[],
): readonly Finding[] {
  if (volume.path === '' || volume.path === '/') {
    return [finding(path, "a volume cannot be the app's folder itself", { expected: 'a folder in it' })];
  }
  if (SYSTEM_FOLDERS.some((folder) => within(volume.path, folder))) {
    return [finding(path, "a volume cannot stand in the system's own folders", { found: volume.path })];
  }
  const other = before.find((candidate) => overlap(candidate.path, volume.path));
  if (other === undefined) return [];
  return [
    finding(path, `overlaps the volume "${other.name}" at ${other.path}`, {
      found: volume.path,
      expected: 'folders apart from each other',
    }),
  ];
}

/** Two processes with one unshared volume would be two instances that hold it. */
function heldTwiceFindings(scope: Scope): readonly Finding[] {
  const holder = new Map<string, string>();
  return scope.spec.processes.flatMap((process) =>
    process.volumes.flatMap((volume, index) => {
      const first = holder.get(volume.name);
      holder.set(volume.name, first ?? process.name);
      if (first === undefined || first === process.name || volume.shared) return [];
      const path = [...processPath(scope, process.name, 'volumes'), index, 'name'];
      const message = `the process "${first}" holds the volume "${volume.name}" already`;
      return [finding(path, message, { expected: 'another volume, or "shared: true" at both' })];
    }),
  );
}

export function overlap(a: string, b: string): boolean {
  const [one, two] = [tidyPath(a), tidyPath(b)];
  return within(one, two) || within(two, one);
}

function within(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
