/** Dockerfile, where nothing else tells how to make the component. */
import type { Draft } from './draft.ts';
import type { Folder } from './folder.ts';

export function detectDockerfile(folder: Folder): Draft | undefined {
  const text = folder.texts.get('Dockerfile');
  if (text === undefined) return undefined;
  const port = Number(/^\s*EXPOSE\s+(\d+)/im.exec(text)?.[1] ?? Number.NaN);
  return {
    what: 'a container (Dockerfile)',
    kind: 'container',
    build: [],
    ...(port >= 1 && port <= 65_535 && { port }),
    processes: {},
    notes: ['The service must listen on the port that PORT names; EXPOSE alone does not make it.'],
  };
}
