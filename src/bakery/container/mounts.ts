/**
 * What the `RUN --mount`s of a Dockerfile ask of whoever builds it, and whether it may be had. Decided before anything
 * is built. Pure; the format: docs.docker.com/reference/dockerfile, "RUN --mount".
 */
import type { ContainerSpec } from '../../domain/component.ts';
import { type Fault, KilnError } from '../../domain/errors.ts';
import { FLAGS, instructions } from './dockerfile.ts';

interface Mount {
  readonly type: string;
  /** Of a secret or an agent. */
  readonly id: string;
  /** False only where the file says so itself: the build goes on without it. */
  readonly required: boolean;
  readonly line: number;
  readonly written: string;
}

export interface MountRules {
  /** Relative to the component. */
  readonly file: string;
  readonly container: ContainerSpec;
  readonly builder: 'classic' | 'buildkit';
}

/** True when the file has any: then BuildKit alone can build it. */
export function hasMounts(text: string): boolean {
  return mountsOf(text).length > 0;
}

/**
 * Fails with `target.unsupported` where the engine has no BuildKit, with `input.invalid` where a mount asks for what
 * `kiln.yaml` does not grant; at the line of the file, all at once.
 */
export function checkMounts(text: string, { file, container, builder }: MountRules): void {
  const mounts = mountsOf(text);
  const [first] = mounts;
  if (first === undefined) return;
  if (builder === 'classic') {
    throw new KilnError(
      'target.unsupported',
      `${file}:${first.line} asks for a mount, which only BuildKit has; this Docker engine builds without it.`,
      {
        faults: mounts.map((mount) => fault(file, mount, 'needs BuildKit')),
        next: 'Use an engine with BuildKit (Docker 20.10 or newer, not turned off in its daemon.json), or build without mounts.',
      },
    );
  }
  const faults = mounts.flatMap((mount) => {
    const why = refused(mount, container);
    return why === undefined ? [] : [fault(file, mount, why)];
  });
  const [worst] = faults;
  if (worst === undefined) return;
  throw new KilnError('input.invalid', `${file}:${worst.location?.line} ${worst.message}.`, {
    faults,
    next: 'Grant it in kiln.yaml: `image: {container: {secrets: [NAME], ssh: true}}`.',
  });
}

function refused(
  { type, id, required }: Mount,
  { secrets = [], ssh = false }: ContainerSpec,
): string | undefined {
  if (type === 'secret') {
    if (id === '' || id.includes('$')) return 'asks for a secret without a plain id';
    if (required && !secrets.includes(id))
      return `asks for the secret "${id}", which kiln.yaml does not grant`;
  }
  if (type === 'ssh') {
    if (id !== '' && id !== 'default')
      return `asks for the SSH agent "${id}"; there is one only, without an id`;
    if (required && !ssh) return 'asks for an SSH agent, which kiln.yaml does not grant';
  }
  return undefined;
}

function fault(file: string, { line, written }: Mount, message: string): Fault {
  return { path: '', message, found: written, location: { file, line, column: 1 } };
}

function mountsOf(text: string): readonly Mount[] {
  return instructions(text).flatMap(({ word, text: whole, line }) => {
    if (word !== 'RUN') return [];
    const flags = FLAGS.exec(whole)?.[0] ?? '';
    return [...flags.matchAll(/--mount=(\S+)/g)].map(([written, list = '']) => {
      const lines = flags.slice(0, flags.indexOf(written)).split('\n').length - 1;
      return { ...readMount(list), line: line + lines, written };
    });
  });
}

function readMount(list: string): Pick<Mount, 'type' | 'id' | 'required'> {
  const options = new Map(
    list.split(',').map((option) => {
      const [name = '', ...value] = option.split('=');
      return [name.toLowerCase(), value.join('=').replace(/^["']|["']$/g, '')] as const;
    }),
  );
  const target = options.get('target') ?? options.get('dst') ?? options.get('destination') ?? '';
  const type = options.get('type') ?? 'bind';
  const fallback = type === 'secret' ? (target.split('/').at(-1) ?? '') : '';
  return {
    type,
    id: options.get('id') ?? options.get('source') ?? options.get('src') ?? fallback,
    required: options.get('required') !== 'false',
  };
}
