/** go.mod */
import type { Draft } from './draft.ts';
import type { Folder } from './folder.ts';

export function detectGo(folder: Folder): Draft | undefined {
  const mod = folder.texts.get('go.mod');
  if (mod === undefined) return undefined;
  const notes: string[] = [];
  const commands = [...folder.entries].flatMap((entry) => /^cmd\/([\w-]+)\/$/.exec(entry)?.[1] ?? []).sort();
  const topIsMain = [...folder.texts].some(
    ([name, text]) => name.endsWith('.go') && /^package main$/m.test(text),
  );
  const packages = topIsMain ? ['.'] : commands.map((name) => `./cmd/${name}`);
  const [first] = commands;
  if (packages.length === 0)
    notes.push('No main package found at the top or under cmd: correct image.build.');
  if (!topIsMain && commands.length > 1) {
    notes.push(`Several commands (${commands.join(', ')}): which one is the service was guessed.`);
  }
  const name = topIsMain ? programName(mod) : (first ?? programName(mod));
  return {
    what: 'Go (go.mod)',
    kind: 'bundle',
    build: [
      {
        run: `env CGO_ENABLED=0 go build -trimpath -o bin/${name} ${packages[0] ?? '.'}`,
        why: 'one file, without the paths of the machine that made it',
      },
    ],
    run: `./bin/${name}`,
    processes: {},
    notes,
  };
}

function programName(mod: string): string {
  const module = /^module\s+"?([^\s"]+)/m.exec(mod)?.[1] ?? 'app';
  const last =
    module
      .replace(/\/v\d+$/, '')
      .split('/')
      .at(-1) ?? 'app';
  return /^[\w][\w.-]*$/.test(last) ? last : 'app';
}
