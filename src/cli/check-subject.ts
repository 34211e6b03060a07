/**
 * What `kiln check` is asked to check, told apart by its shape alone:
 *
 *     http://host[:port], host:port, a.dotted.name, localhost, an IP address   a host; then a file or `-`
 *     component level/region                                                   what serves there
 *     component@version, component:channel, an id                              an image
 *
 * A name with a colon is a host when digits follow it, since no channel begins with a digit.
 */
import { KilnError } from '../domain/errors.ts';
import { isEnvironmentName, isName } from '../domain/ids.ts';

export type CheckSubject =
  | { readonly kind: 'host'; readonly host: string; readonly file: string | undefined }
  | { readonly kind: 'service'; readonly component: string; readonly environment: string }
  | { readonly kind: 'image'; readonly image: string };

export function checkSubject(what: string, more: string | undefined): CheckSubject {
  if (looksLikeHost(what)) return { kind: 'host', host: what, file: more };
  if (more !== undefined && isName(what) && isEnvironmentName(more))
    return { kind: 'service', component: what, environment: more };
  if (more !== undefined) {
    throw new KilnError(
      'input.invalid',
      `"${what} ${more}" is neither a host with a file nor a component with an environment.`,
      {
        next: 'Use: kiln check HOST:PORT FILE, kiln check COMPONENT LEVEL/REGION, or kiln check COMPONENT@VERSION.',
      },
    );
  }
  return { kind: 'image', image: what };
}

function looksLikeHost(text: string): boolean {
  if (text.includes('://') || text === 'localhost' || text.startsWith('[')) return true;
  if (text.includes('@')) return false;
  return /:\d+$/.test(text) || /^[^:]+\.[^:]+$/.test(text);
}
