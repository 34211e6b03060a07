/** Addresses of repositories that git may be given: what they may be, and by which protocols they are reached. */
import path from 'node:path';
import { KilnError } from '../../domain/errors.ts';

export interface RepositoryUrl {
  readonly url: string;
  /** What git may use for it: never more than the address needs. */
  readonly protocol: 'file' | 'ssh' | 'https' | 'http';
}

/**
 * `https://…`, `ssh://…`, `user@host:path`, `file:///…` or an absolute path. Refuses addresses that hold a password
 * (it would stand in arguments and logs), plain HTTP beyond this machine, and whatever git could take for an option.
 */
export function repositoryUrl(text: string): RepositoryUrl {
  if (/[\s\0]/.test(text) || text.startsWith('-')) throw refused(text, 'it is no address');
  if (path.isAbsolute(text)) return { url: `file://${path.normalize(text)}`, protocol: 'file' };
  if (/^[\w.-]+@[A-Za-z0-9][\w.-]*:(?!\/\/)[^-].*$/.test(text)) return { url: text, protocol: 'ssh' };
  const parsed = URL.parse(text);
  const protocol = parsed?.protocol.slice(0, -1);
  if (parsed === null || parsed.host.startsWith('-')) throw refused(text, 'it is no address');
  if (parsed.password !== '') throw refused(withoutPassword(parsed), 'it holds a password');
  if (protocol === 'http' && !['localhost', '127.0.0.1', '[::1]'].includes(parsed.hostname)) {
    throw refused(text, 'plain HTTP can be read and changed on its way');
  }
  if (protocol === 'file' && parsed.host !== '') throw refused(text, 'a file is on this machine');
  if (protocol !== 'file' && protocol !== 'ssh' && protocol !== 'https' && protocol !== 'http') {
    throw refused(text, `${protocol}: is not spoken here`);
  }
  return { url: text, protocol };
}

function withoutPassword(url: URL): string {
  const { protocol, host, pathname } = url;
  return `${protocol}//${host}${pathname}`;
}

function refused(url: string, why: string): KilnError {
  return new KilnError('input.invalid', `${url} cannot be used as a repository: ${why}.`, {
    next: 'Give https://…, ssh://…, user@host:path, file:///… or an absolute path; git’s credential helpers and SSH keys of the server’s user are used.',
  });
}
