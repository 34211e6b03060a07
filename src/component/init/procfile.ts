/** Procfile: its processes stand over what was found otherwise. */
import type { Draft } from './draft.ts';
import type { Folder } from './folder.ts';
import { tidyName } from './names.ts';

/** `release` is Heroku's word for what runs once before traffic. */
const RELEASE = 'release';
const WEB = 'web';

export function readProcfile(folder: Folder): ReadonlyMap<string, string> | undefined {
  const text = folder.texts.get('Procfile');
  if (text === undefined) return undefined;
  const lines = text.split('\n').flatMap((line) => {
    const [, name, command] = /^\s*([\w-]+)\s*:\s*(\S.*?)\s*$/.exec(line) ?? [];
    return name === undefined || command === undefined ? [] : [[tidyName(name), command] as const];
  });
  return lines.length === 0 ? undefined : new Map(lines);
}

export function applyProcfile(draft: Draft | undefined, commands: ReadonlyMap<string, string>): Draft {
  const base = draft ?? { what: 'processes', kind: 'bundle', build: [], processes: {}, notes: [] };
  const { run: _, ...rest } = base;
  const web = commands.get(WEB) ?? (commands.size === 0 ? base.run : undefined);
  const migrate = commands.get(RELEASE) ?? base.migrate;
  const others = [...commands].filter(([name]) => name !== WEB && name !== RELEASE);
  return {
    ...rest,
    what: `${base.what}, processes by Procfile`,
    ...(web !== undefined && { run: web }),
    ...(migrate !== undefined && { migrate }),
    processes: Object.fromEntries(others),
  };
}
