/** A folder of pages. */
import type { Draft } from './draft.ts';
import type { Folder } from './folder.ts';

const HOMES = ['', 'public/', 'dist/', 'build/', '_site/', 'site/', 'www/', 'htdocs/'];

export function detectStaticSite(folder: Folder): Draft | undefined {
  const home = HOMES.find((candidate) => folder.entries.has(`${candidate}index.html`));
  if (home === undefined) return undefined;
  return {
    what: `static pages (${home}index.html)`,
    kind: 'bundle',
    build: [],
    run: `python3 -m http.server --bind 0.0.0.0 --directory ${home === '' ? '.' : home.slice(0, -1)} $PORT`,
    processes: {},
    notes: ["Python's file server does for small sites; name a real one under image.run for more."],
  };
}
