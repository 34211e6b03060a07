/** Where an image is in a registry: `HOST[:PORT]/NAME[:TAG]` or `HOST[:PORT]/NAME@sha256:…`. Pure. */
import { KilnError } from '../domain/errors.ts';
import { type Digest, digest as parseDigest } from '../domain/ids.ts';

export interface RepositoryAddress {
  /** As people write it: `registry.example.com:5000`. */
  readonly host: string;
  /** `https://registry.example.com:5000`, without a path. */
  readonly origin: string;
  /** The name below the host: `team/storefront`. */
  readonly name: string;
}

export interface RegistryReference extends RepositoryAddress {
  readonly tag?: string;
  readonly digest?: Digest;
}

/** The rules of the OCI distribution specification v1.1 for names and tags. */
const NAME = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[\w][\w.-]{0,127}$/;
const HOST =
  /^(?:localhost|(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?\.)+[a-zA-Z0-9-]+|[a-zA-Z0-9-]+(?=:)|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;
const NAME_LIMIT = 255;

/**
 * Plain HTTP is spoken with registries on this machine, as Docker does, and with those that the settings name.
 * Fails with `input.invalid`.
 */
export function parseRegistryReference(text: string, plainHttp: readonly string[] = []): RegistryReference {
  const [rest = '', digestText, ...more] = text.split('@');
  if (more.length > 0) throw refuse(text, 'it has more than one "@"');
  const slash = rest.indexOf('/');
  if (slash <= 0) throw refuse(text, 'it names no registry');
  const host = rest.slice(0, slash);
  if (!HOST.test(host)) throw refuse(text, `"${host}" is not the address of a registry`);
  const path = rest.slice(slash + 1);
  const colon = path.indexOf(':');
  const name = colon === -1 ? path : path.slice(0, colon);
  const tag = colon === -1 ? undefined : path.slice(colon + 1);
  if (!NAME.test(name) || name.length > NAME_LIMIT) throw refuse(text, `"${name}" is not a name there`);
  if (tag !== undefined && !TAG.test(tag)) throw refuse(text, `"${tag}" is not a tag`);
  return {
    host,
    origin: `${isPlain(host, plainHttp) ? 'http' : 'https'}://${host}`,
    name,
    ...(tag === undefined ? {} : { tag }),
    ...(digestText === undefined ? {} : { digest: parseDigest(digestText) }),
  };
}

/** A version as a tag: build metadata begins with a character that tags do not hold. */
export function tagOf(version: string): string {
  return version.replace(/[^\w.-]/g, '_').slice(0, 128);
}

function isPlain(host: string, plainHttp: readonly string[]): boolean {
  const bare = host.replace(/:\d+$/, '');
  const onThisMachine = bare === 'localhost' || bare === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(bare);
  return onThisMachine || plainHttp.includes(host) || plainHttp.includes(bare);
}

function refuse(text: string, why: string): KilnError {
  return new KilnError('input.invalid', `"${text}" names no place in a registry: ${why}.`, {
    next: 'Give HOST/NAME:TAG or HOST/NAME@sha256:…, such as registry.example.com/team/storefront:1.2.0.',
  });
}
