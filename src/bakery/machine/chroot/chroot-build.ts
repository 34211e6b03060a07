/**
 * Kiln's own way to a root filesystem: a foundation (a Debian suite by mmdebstrap, or another component's image),
 * the steps inside it, an archive, and other forms of it. All in namespaces: nothing is mounted where others see it.
 */
import { z } from 'zod';
import { KilnError } from '../../../domain/errors.ts';
import type { StoredArtifact } from '../../../domain/image.ts';
import type { BuildProgress } from '../../../domain/ports/builder.ts';
import type { FileBlobStore } from '../../blobs.ts';
import type { DescribedMachine } from '../described-machine.ts';
import { storeMachineFile } from '../stored-files.ts';
import { DISK_FORMATS } from './disk-formats.ts';
import { Rootfs, type RootfsParts } from './rootfs.ts';

const SUITE = /^[a-z][a-z0-9.-]*$/;
const WORD = /^[A-Za-z0-9][A-Za-z0-9.+:~_/-]*$/;

const optionsSchema = z.strictObject({
  packages: z.array(z.string().regex(WORD)).default([]),
  variant: z.enum(['essential', 'apt', 'minbase', 'buildd', 'important', 'standard']).default('minbase'),
  mirror: z
    .string()
    .regex(/^(https?|file|copy):/)
    .optional(),
  components: z.array(z.string().regex(WORD)).default(['main']),
});

export interface ChrootRequest {
  readonly spec: DescribedMachine;
  readonly arch: string;
  /** Archive of the image to start from; undefined: a Debian suite. */
  readonly foundation: string | undefined;
  /** Folder of the component's files. */
  readonly source: string;
  readonly parts: RootfsParts;
  readonly blobs: FileBlobStore;
  readonly onProgress: (progress: BuildProgress) => void;
  readonly signal: AbortSignal;
}

/** The archive first. Its folder is gone when this returns or fails. */
export async function buildRootfs(request: ChrootRequest): Promise<readonly StoredArtifact[]> {
  const { arch, blobs, onProgress, parts, signal, source, spec } = request;
  const rootfs = new Rootfs(parts);
  const stage = (name: string, detail: string): void => onProgress({ kind: 'stage', name, detail });
  try {
    await rootfs.open();
    stage('foundation', spec.source);
    await rootfs.unpack(request.foundation ?? (await bootstrap(rootfs, request)), signal);
    if (spec.provisioners.length > 0) stage('provision', `${spec.provisioners.length} step(s)`);
    await rootfs.prepare(spec.provisioners, source, signal);
    stage('pack', ['tar', ...spec.formats].join(', '));
    const archive = rootfs.beside('image.tar');
    await rootfs.archive(archive, signal);
    const artifacts = [await storeMachineFile(blobs, { file: archive, form: 'rootfs', arch }, signal)];
    for (const form of spec.formats) {
      const file = await DISK_FORMATS[form]({ rootfs, archive, diskBytes: spec.diskBytes, signal });
      artifacts.push(await storeMachineFile(blobs, { file, form, arch }, signal));
    }
    return artifacts;
  } finally {
    await rootfs.remove();
  }
}

async function bootstrap(rootfs: Rootfs, { arch, parts, signal, spec }: ChrootRequest): Promise<string> {
  const options = optionsSchema.safeParse(spec.options);
  if (!options.success || !SUITE.test(spec.source)) {
    throw new KilnError('input.invalid', 'image.machine does not say how to make the foundation.', {
      cause: options.error,
      next: 'Give a Debian suite such as bookworm as source; its options are packages, variant, mirror and components.',
    });
  }
  const { components, mirror, packages, variant } = options.data;
  const archive = rootfs.beside('foundation.tar');
  await rootfs.tool(
    [
      'mmdebstrap',
      '--mode=root',
      '--format=tar',
      `--variant=${variant}`,
      `--architectures=${arch}`,
      `--components=${components.join(',')}`,
      ...(packages.length === 0 ? [] : [`--include=${packages.join(',')}`]),
      // What mmdebstrap takes from the machine that it runs on.
      '--customize-hook=rm -f "$1/etc/hostname" "$1/etc/resolv.conf"',
      '--skip=output/dev',
      ...[spec.source, archive],
      ...(mirror === undefined ? [] : [mirror]),
    ],
    signal,
    parts.network,
  );
  return archive;
}
