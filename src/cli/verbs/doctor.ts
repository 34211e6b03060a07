/** What this machine has of what Kiln can use. Needs no server; says of one what it knows when it answers. */
import { type ExecFileException, execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, glob } from 'node:fs/promises';
import path from 'node:path';
import type { Answer } from '../../api/contract.ts';
import { EXIT } from '../../api/failures.ts';
import { asKilnError } from '../../domain/errors.ts';
import { answer, type Context, hint } from '../context.ts';
import { agoText } from '../time.ts';
import { TOOLS, type Tool } from '../tools.ts';

const NODE_MAJOR = 24;
const PROBE_LIMIT_MS = 5_000;

interface Finding {
  readonly name: string;
  /** `broken`: it is there and does not work. */
  readonly state: 'present' | 'missing' | 'broken';
  readonly version?: string;
  readonly path?: string;
  readonly gives: string;
  readonly package: string;
  /** What it says of itself, and what to do, where it is broken. */
  readonly why?: string;
  readonly mend?: string;
}

export async function run(context: Context): Promise<number> {
  const tools = await Promise.all(TOOLS.map((tool) => examine(tool, context)));
  const server = await serverState(context);
  const nodeFits = Number(process.versions.node.split('.')[0]) >= NODE_MAJOR;
  const node = { version: process.versions.node, fits: nodeFits };
  answer(context, { node, tools, server }, () => report(context, node, tools, server));
  const missing = tools.filter((tool) => tool.state === 'missing' && !tool.package.includes(' '));
  if (missing.length > 0)
    hint(context, `on Debian: apt-get install ${missing.map((tool) => tool.package).join(' ')}`);
  return nodeFits ? EXIT.ok : EXIT.negative;
}

async function examine(tool: Tool, context: Context): Promise<Finding> {
  const { name, gives } = tool;
  const found = await findCommand(tool.commands, context.env.PATH ?? '/usr/local/bin:/usr/bin:/bin');
  if (found === undefined) return { name, state: 'missing', gives, package: tool.package };
  const version = (await runTool(found, tool.versionArguments)).text.split('\n')[0]?.trim() ?? '';
  const shared = { name, version, path: found, gives, package: tool.package };
  if (tool.works === undefined) return { ...shared, state: 'present' };
  const probe = await runTool(found, tool.works);
  return probe.worked
    ? { ...shared, state: 'present' }
    : {
        ...shared,
        state: 'broken',
        why: complaint(probe.text),
        ...(tool.mend === undefined ? {} : { mend: tool.mend }),
      };
}

/** The line that says what is wrong, of all that a failing tool says. */
function complaint(text: string): string {
  const lines = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const telling = lines.find((line) => /error|cannot|can't|denied|failed|not permitted|no such/i.test(line));
  return telling ?? lines.at(-1) ?? 'it ends with a failure and says nothing';
}

async function findCommand(commands: readonly string[], searchPath: string): Promise<string | undefined> {
  for (const command of commands) {
    const candidates = command.startsWith('/') ? glob(command) : onPath(command, searchPath);
    for await (const candidate of candidates) if (await isExecutable(candidate)) return candidate;
  }
  return undefined;
}

function onPath(command: string, searchPath: string): readonly string[] {
  return searchPath.split(':').map((folder) => path.join(folder, command));
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false; // not there or not ours to run: to Kiln it is missing
  }
}

function runTool(file: string, args: readonly string[]): Promise<{ worked: boolean; text: string }> {
  return new Promise((resolve) => {
    execFile(file, args, { timeout: PROBE_LIMIT_MS }, (error, stdout, stderr) =>
      resolve({ worked: error === null, text: told(error, stdout, stderr) }),
    );
  });
}

function told(error: ExecFileException | null, stdout: string, stderr: string): string {
  if (error === null) return stdout.trim() || stderr;
  if (error.killed) return `it gave no answer within ${PROBE_LIMIT_MS / 1000} s`;
  return stderr.trim() || stdout.trim() || error.message;
}

type ServerState =
  | { readonly reachable: true; readonly server: Answer<'server.get'> }
  | { readonly reachable: false; readonly why: string };

async function serverState(context: Context): Promise<ServerState> {
  try {
    const server = await context.client().call('server.get', {}, { signal: context.signal });
    return { reachable: true, server };
  } catch (thrown) {
    return { reachable: false, why: asKilnError(thrown).message };
  }
}

function report(
  { terminal: { colors }, now }: Context,
  node: { version: string; fits: boolean },
  tools: readonly Finding[],
  state: ServerState,
): string {
  const sign = { present: colors.green('✓'), missing: colors.dim('·'), broken: colors.red('✗') };
  const nodeLine = node.fits
    ? `${sign.present} node ${node.version}`
    : `${sign.broken} node ${node.version}: Kiln needs ${NODE_MAJOR} or newer`;
  const toolLines = tools.map((tool) => {
    if (tool.state === 'present') return `${sign.present} ${tool.name}  ${colors.dim(tool.version ?? '')}`;
    if (tool.state === 'broken')
      return `${sign.broken} ${tool.name} is there but does not work: ${tool.why}\n    would give: ${tool.gives}${tool.mend === undefined ? '' : `\n    to mend it: ${tool.mend}`}`;
    return `${sign.missing} ${tool.name} is missing; would give: ${tool.gives}\n    Debian package: ${tool.package}`;
  });
  return [nodeLine, ...toolLines, ...serverLines(state, now(), sign)].join('\n');
}

function serverLines(
  state: ServerState,
  nowMs: number,
  sign: Readonly<Record<Finding['state'], string>>,
): readonly string[] {
  if (!state.reachable) return [`${sign.missing} server: ${state.why}`];
  const { version, store, router, targets, pid, id, servers } = state.server;
  return [
    `${sign.present} server ${version} (process ${pid}), store ${store}`,
    `${router.reachable ? sign.present : sign.broken} router ${router.driver} at ${router.listen} ${router.detail}`,
    ...targets.map(
      ({ name, isolation, detail }) =>
        `${isolation === 'unknown' ? sign.missing : sign.present} target ${name}, isolation ${isolation} ${detail}`,
    ),
    ...servers.filter((other) => other.id !== id).map((other) => otherServerLine(other, nowMs, sign)),
  ];
}

/** One that works on the same store. */
function otherServerLine(
  { url, host, version, seenAtMs, goneSinceMs }: Answer<'server.get'>['servers'][number],
  nowMs: number,
  sign: Readonly<Record<Finding['state'], string>>,
): string {
  const beat = `last heartbeat ${agoText(seenAtMs, nowMs)}`;
  if (goneSinceMs === undefined)
    return `${sign.present} also server ${version} at ${url} on ${host}, ${beat}`;
  return `${sign.broken} the server at ${url} on ${host} is gone, ${beat}`;
}
