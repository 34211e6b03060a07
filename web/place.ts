/** Where the reader is: the part of the address after `#`, as its words. */
import { useEffect, useState } from 'preact/hooks';

export function usePlace(): readonly string[] {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const changed = (): void => setHash(location.hash);
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return hash.replace(/^#\/?/, '').split('/').filter(Boolean).map(decodeURIComponent);
}

export function placeOf(...words: readonly string[]): string {
  return `#/${words.map(encodeURIComponent).join('/')}`;
}
