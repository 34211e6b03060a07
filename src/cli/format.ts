/** `--format '{{digest}}'`: one line for an image, as a script wants it. */
import type { Answer } from '../api/contract.ts';
import { KilnError } from '../domain/errors.ts';

type Image = Answer<'images.get'>;

/** Of an image's artifacts the first is meant: the one that was asked for. */
const FIELDS: Readonly<Record<string, (image: Image) => string | number | undefined>> = {
  id: (image) => image.id,
  component: (image) => image.component,
  version: (image) => image.version,
  'input-key': (image) => image.inputKey,
  parent: (image) => image.parent,
  channels: (image) => image.channels.join(','),
  tested: (image) => String(image.tested),
  state: (image) => image.state,
  revoked: (image) => String(image.revoked !== undefined),
  created: (image) => new Date(image.createdAtMs).toISOString(),
  kind: (image) => image.artifacts[0]?.kind,
  provider: (image) => image.artifacts[0]?.provider,
  region: (image) => image.artifacts[0]?.region,
  arch: (image) => image.artifacts[0]?.arch,
  digest: (image) => image.artifacts[0]?.digest,
  reference: (image) => image.artifacts[0]?.reference,
  size: (image) => image.artifacts[0]?.sizeBytes,
};

/** What an image has not is left empty; what no image can have is an error. */
export function formatted(format: string, image: Image): string {
  return format.replace(/\{\{\s*([^{}]*?)\s*\}\}/g, (_, name: string) => {
    if (name.startsWith('tags.')) return image.tags[name.slice('tags.'.length)] ?? '';
    const read = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined;
    if (read !== undefined) return String(read(image) ?? '');
    throw new KilnError('input.invalid', `"${name}" cannot be shown by --format.`, {
      next: `Use ${Object.keys(FIELDS).join(', ')} or tags.KEY.`,
      faults: [{ path: '--format', message: 'names no field', found: name }],
    });
  });
}
