/** Which tools a build command names, and their versions: another npm may install another tree. */
import { execFile } from 'node:child_process';
import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const VERSION_TIMEOUT_MS = 20_000;

/** First word of a command → programs whose version counts. */
const TOOLS: Readonly<Record<string, readonly string[]>> = {
  node: ['node'],
  npm: ['node', 'npm'],
  npx: ['node', 'npm'],
  yarn: ['node', 'yarn'],
  pnpm: ['node', 'pnpm'],
  bundle: ['ruby', 'bundle'],
  gem: ['ruby'],
  ruby: ['ruby'],
  rake: ['ruby'],
  pip: ['python3'],
  pip3: ['python3'],
  python: ['python3'],
  python3: ['python3'],
  poetry: ['python3', 'poetry'],
  uv: ['uv'],
  composer: ['php', 'composer'],
  php: ['php'],
  go: ['go'],
  make: ['make'],
  cargo: ['cargo'],
};

/** Pure: the names, sorted. */
function toolsNamedBy(commands: readonly string[]): string[] {
  const named = new Set<string>();
  for (const command of commands) {
    for (const word of command.split(/[^\w./+-]+/)) {
      for (const tool of TOOLS[path.basename(word)] ?? []) named.add(tool);
    }
  }
  return [...named].toSorted();
}

/** Asks each program once, and again only when its file has changed. */
export class ToolVersions {
  readonly #searchPath: string;
  readonly #byFile = new Map<string, string>();

  /** @param searchPath PATH of the builds */
  constructor(searchPath: string) {
    this.#searchPath = searchPath;
  }

  async of(commands: readonly string[], signal: AbortSignal): Promise<Record<string, string>> {
    const versions: Record<string, string> = {};
    await Promise.all(
      toolsNamedBy(commands).map(async (tool) => {
        versions[tool] = await this.#version(tool, signal);
      }),
    );
    return versions;
  }

  async #version(tool: string, signal: AbortSignal): Promise<string> {
    const file = await this.#find(tool);
    // An absent tool fails in the step that calls it, with the shell's own words.
    if (file === undefined) return 'absent';
    const { size, mtimeMs, ino } = await stat(file);
    const identity = `${file} ${size} ${mtimeMs} ${ino}`;
    const known = this.#byFile.get(identity);
    if (known !== undefined) return known;
    const version = await this.#ask(tool, file, signal);
    this.#byFile.set(identity, version);
    return version;
  }

  async #ask(tool: string, file: string, signal: AbortSignal): Promise<string> {
    const options = { env: { PATH: this.#searchPath, LANG: 'C.UTF-8' }, timeout: VERSION_TIMEOUT_MS, signal };
    try {
      const { stdout } = await run(file, tool === 'go' ? ['version'] : ['--version'], options);
      return stdout.split('\n')[0]?.trim() ?? '';
    } catch (error) {
      signal.throwIfAborted();
      // It has no version to tell: its file stands for it.
      const { size, mtimeMs } = await stat(file);
      return error instanceof Error ? `file of ${size} bytes, ${mtimeMs}` : 'unknown';
    }
  }

  async #find(tool: string): Promise<string | undefined> {
    for (const folder of this.#searchPath.split(':')) {
      if (!path.isAbsolute(folder)) continue;
      try {
        const file = await realpath(path.join(folder, tool));
        const found = await stat(file);
        if (found.isFile() && (found.mode & 0o111) !== 0) return file;
      } catch {
        // Not in this folder of the PATH; the next may have it.
      }
    }
    return undefined;
  }
}
