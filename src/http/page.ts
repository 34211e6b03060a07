/** The page: its files, which hold nothing secret and need no token, and how it gets a token of its own. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { namesIn } from '../files/names-in.ts';
import { secretHash } from './auth.ts';
import type { KilnHono, Operations } from './operations.ts';
import type { PageCodes } from './page-codes.ts';
import type { HttpParts, PageFile } from './parts.ts';
import { newSecret } from './tokens.ts';
import { present } from './views.ts';

const SESSION_MS = 12 * 3_600_000;
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The built page, by the path it is served at; empty where it was not built. */
export async function readPageFiles(directory: string): Promise<ReadonlyMap<string, PageFile>> {
  const files = new Map<string, PageFile>();
  for (const name of await namesIn(directory)) {
    const type = TYPES[path.extname(name)];
    if (type === undefined) continue;
    const body = new Uint8Array(await readFile(path.join(directory, name)));
    files.set(name === 'index.html' ? '/' : `/page/${name}`, { body, type });
  }
  return files;
}

export function servePageFiles(app: KilnHono, files: ReadonlyMap<string, PageFile>): void {
  for (const [route, { body, type }] of files) {
    app.get(route, () => {
      const headers = { 'content-type': type, 'content-security-policy': CONTENT_SECURITY_POLICY };
      return new Response(body, { headers: { ...headers, 'cache-control': 'no-cache' } });
    });
  }
}

export function servePage(operations: Operations, parts: HttpParts, codes: PageCodes): void {
  const { store, clock, randomBytes } = parts;
  operations.json('page.code', async (_input, { actor }) => codes.create(actor, clock.now()), {
    remember: ({ expiresAtMs }) => ({ code: '', expiresAtMs }),
  });

  // Never outlives what it was made from, so that no token can prolong itself.
  operations.json(
    'page.session',
    async (_input, { actor, attempt }) => {
      const atMs = clock.now();
      const expiresAtMs = Math.min(atMs + SESSION_MS, actor.expiresAtMs ?? Number.POSITIVE_INFINITY);
      const secret = newSecret(randomBytes);
      const { role, environments } = actor;
      const token = await store.tokens.create(
        { name: `page of ${actor.name}`.slice(0, 80), role, environments, expiresAtMs },
        secretHash(secret),
        { actor: actor.name, atMs, ...present({ attempt }) },
      );
      return { name: token.name, role, environments, expiresAtMs, secret };
    },
    { remember: ({ secret: _secret, ...rest }) => rest },
  );
}
