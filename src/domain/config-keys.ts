/** How config keys become environment variables: `db_url` and `db-url` as `DB_URL`. */

export function environmentVariable(key: string): string {
  return key.toUpperCase().replaceAll('-', '_');
}

/** Set by Kiln or the system for every instance, or able to change what a process loads before it starts. */
const RESERVED = new Set([
  'PORT',
  'PATH',
  'HOME',
  'PWD',
  'SHELL',
  'USER',
  'TMPDIR',
  'IFS',
  'ENV',
  'BASH_ENV',
]);

export function isReservedVariable(variable: string): boolean {
  return RESERVED.has(variable) || variable.startsWith('KILN_') || variable.startsWith('LD_');
}
