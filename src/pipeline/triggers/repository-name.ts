/** One name for the several addresses of a repository. */

/**
 * `https://host/a/b.git`, `ssh://git@host/a/b` and `git@host:a/b.git` are one repository: `host/a/b`. Case is no
 * difference, for the providers make none. A path on this machine is its own name.
 */
export function repositoryName(url: string): string {
  const [, scpHost, scpPath] = /^(?:[^/@:]+@)?([^/:@]+):(?!\/\/)(.+)$/.exec(url) ?? [];
  if (scpHost !== undefined && scpPath !== undefined) return named(scpHost, scpPath);
  const parsed = URL.parse(url);
  if (parsed === null) return withoutEnd(url);
  if (parsed.protocol === 'file:') return withoutEnd(decodeURIComponent(parsed.pathname));
  return named(parsed.host, parsed.pathname);
}

function named(host: string, path: string): string {
  return `${host}/${withoutEnd(path).replace(/^\/+/, '')}`.toLowerCase();
}

function withoutEnd(path: string): string {
  return path.replace(/\/+$/, '').replace(/\.git$/, '');
}
