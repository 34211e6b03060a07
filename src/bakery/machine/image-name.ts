/** What machine images are called, and the tags they carry at their provider. Pure. */
import type { BuildNaming } from '../../domain/ports/builder.ts';

const AMAZON_TAG_VALUE_LENGTH = 256;
const NAME_LENGTH = 128;

/**
 * `component-version-arch-yyyymmddHHMMSS`, as image factories have named them since Aminator, in the characters
 * that every provider takes: letters, digits, `.`, `_`, `-`.
 */
export function machineImageName(component: string, arch: string, { version, atMs }: BuildNaming): string {
  const stamp = new Date(atMs).toISOString().replace(/[-:T]/g, '').slice(0, 14);
  const end = `-${arch}-${stamp}`;
  const name = `${component}-${version}`.replace(/[^A-Za-z0-9._-]/g, '-');
  return `${name.slice(0, NAME_LENGTH - end.length)}${end}`;
}

export function providerTags(arch: string, { tags }: BuildNaming): Record<string, string> {
  const all = { ...tags, arch };
  return Object.fromEntries(
    Object.entries(all).map(([key, value]) => [key, value.slice(0, AMAZON_TAG_VALUE_LENGTH)]),
  );
}

/** `name=…, arch=…, ancestor=…`: what a person sees in the provider's list. */
export function machineDescription(component: string, arch: string, naming: BuildNaming): string {
  const { ancestor } = naming.tags;
  const parts = [`name=${component}`, `version=${naming.version}`, `arch=${arch}`];
  return [...parts, ...(ancestor === undefined ? [] : [`ancestor=${ancestor}`])].join(', ').slice(0, 255);
}
