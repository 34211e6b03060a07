/**
 * How a build command is started. Where bubblewrap works, the command gets a pid namespace of its own, so that it
 * ends as a whole and with the server, does not see the state directory with its token, and works at the same path
 * in every bake, so that what it writes down of its path does not differ. Pure but for `sandboxWorks`.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { RUN_AND_LOOK } from '../leftover-processes.ts';

const run = promisify(execFile);
const PROBE_TIMEOUT_MS = 10_000;
/** Root loses all capabilities in bubblewrap; package managers need these for what they unpack. */
const ROOT_CAPABILITIES = ['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER', 'CAP_SETUID', 'CAP_SETGID'];

export interface BuildFolders {
  /** The clean copy. */
  readonly app: string;
  readonly home: string;
  /** Downloads that package managers keep. */
  readonly downloads: string;
  /** Hidden from the command, but for the three above. */
  readonly state: string;
}

export interface StartedAs {
  readonly argv: readonly string[];
  /** As the command sees them. */
  readonly folders: Omit<BuildFolders, 'state'>;
}

export function plainCommand(command: string, folders: BuildFolders): StartedAs {
  return { argv: ['/bin/sh', '-ec', command], folders };
}

export function sandboxedCommand(
  bwrap: string,
  command: string,
  folders: BuildFolders,
  isRoot: boolean,
): StartedAs {
  const inside = {
    app: path.join(folders.state, 'build', 'app'),
    home: path.join(folders.state, 'build', 'home'),
    downloads: path.join(folders.state, 'build', 'downloads'),
  };
  return {
    argv: [
      bwrap,
      ...['--dev-bind', '/', '/', '--unshare-pid', '--proc', '/proc', '--die-with-parent'],
      ...(isRoot ? ROOT_CAPABILITIES.flatMap((capability) => ['--cap-add', capability]) : []),
      ...['--tmpfs', folders.state],
      ...['--bind', folders.app, inside.app],
      ...['--bind', folders.home, inside.home],
      ...['--bind', folders.downloads, inside.downloads],
      ...['--chdir', inside.app],
      // Nothing is seen in there but what the command has started.
      ...['--', '/bin/sh', '-c', RUN_AND_LOOK, 'sh', command],
    ],
    folders: inside,
  };
}

/** Tries it, with all that builds use: that the program is there says little. */
export async function sandboxWorks(bwrap: string, folders: BuildFolders, isRoot: boolean): Promise<boolean> {
  const [file = bwrap, ...rest] = sandboxedCommand(bwrap, 'exit 0', folders, isRoot).argv;
  try {
    await run(file, rest, { timeout: PROBE_TIMEOUT_MS, env: {} });
    return true;
  } catch {
    // Not installed, or user namespaces are not allowed here: commands run without it.
    return false;
  }
}
