/** Who listens on which port, from /proc/net/tcp and tcp6. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { isSystemError } from '../files/system-error.ts';

export interface Listener {
  readonly port: number;
  readonly host: string;
  /** Takes connections made to 127.0.0.1. */
  readonly coversLoopback: boolean;
  readonly inode: string;
}

const LISTEN = '0A';
/** About a dozen lines: what is read beyond the listening ones is searched for in all of the kernel's hash table. */
const CHUNK_BYTES = 2 * 1024;

export function readListeners(): readonly Listener[] {
  return [
    ...parseListeners(readListening('/proc/net/tcp')),
    ...(hasIpv6Sockets() ? parseListeners(readListening('/proc/net/tcp6')) : []),
  ];
}

/** The kernel counts them; to find out that there are none it would search its whole table, which takes milliseconds. */
function hasIpv6Sockets(): boolean {
  try {
    return !/^TCP6: inuse 0$/m.test(readFileSync('/proc/net/sockstat6', 'utf8'));
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false; // A machine without IPv6.
    throw error;
  }
}

/** Lines of a /proc/net/tcp or tcp6 table; those that do not listen are left out. */
export function parseListeners(table: string): readonly Listener[] {
  const found: Listener[] = [];
  for (const line of table.split('\n')) {
    const fields = line.trim().split(/\s+/);
    const [, local, , state] = fields;
    const inode = fields[9];
    if (state !== LISTEN || local === undefined || inode === undefined) continue;
    const [address = '', port = ''] = local.split(':');
    const host = hostOf(address);
    const coversLoopback = host === '127.0.0.1' || host === '0.0.0.0' || host === '::';
    found.push({ port: Number.parseInt(port, 16), host, coversLoopback, inode });
  }
  return found;
}

/**
 * The kernel lists listening sockets first. Reading stops at the first other one, so that the cost does not
 * grow with the connections of a busy machine.
 */
function readListening(file: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return ''; // A machine without IPv6.
    throw error;
  }
  try {
    const buffer = Buffer.alloc(CHUNK_BYTES);
    let text = '';
    for (;;) {
      const count = readSync(descriptor, buffer, 0, CHUNK_BYTES, null);
      text += buffer.toString('latin1', 0, count);
      if (count === 0 || /^ *\d+: \S+ \S+ (?!0A)[0-9A-F]{2} /m.test(text)) return text;
    }
  } finally {
    closeSync(descriptor);
  }
}

/** The kernel prints addresses as 32-bit words in the machine's own byte order. */
function hostOf(hex: string): string {
  const bytes: number[] = [];
  for (const word of hex.match(/.{8}/g) ?? []) bytes.push(...Buffer.from(word, 'hex').reverse());
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.every((byte) => byte === 0)) return '::';
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
  if (mapped) return bytes.slice(12).join('.');
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2)
    groups.push((((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16));
  const full = groups.join(':');
  return full === '0:0:0:0:0:0:0:1' ? '::1' : full;
}
