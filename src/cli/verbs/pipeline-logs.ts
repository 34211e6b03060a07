/** `kiln pipeline logs`: what the tasks of an execution wrote; text to stdout, headings to stderr. */
import type { Answer } from '../../api/contract.ts';
import { EXIT } from '../../api/failures.ts';
import { KilnError } from '../../domain/errors.ts';
import { type Context, hint, isSet, textFlag } from '../context.ts';

type Log = Answer<'executions.logs'>['items'][number];
type Piece = Answer<'executions.log'>;

export async function logs(context: Context): Promise<number> {
  const [, id, wanted] = context.args;
  if (id === undefined) {
    throw new KilnError('input.invalid', 'kiln pipeline logs needs the id of an execution.', {
      next: 'Run: kiln pipeline list',
    });
  }
  const from = lineOf(textFlag(context.flags, 'from'));
  const follow = isSet(context.flags, 'follow');
  context.onInterrupt(() => 'no longer following');
  const shown = new Set<string>();
  let isWhole = true;
  for (;;) {
    const isOpen = follow && (await isUnderWay(context, id));
    const { items } = await context
      .client()
      .call('executions.logs', { params: { id } }, { signal: context.signal });
    const fitting = items.filter(({ state, task }) => wanted === undefined || [state, task].includes(wanted));
    for (const log of fitting) {
      const name = `${log.server} ${log.task}`;
      if (shown.has(name)) continue;
      shown.add(name);
      if (!(await show(context, id, log, { from, follow, heading: wanted === undefined }))) isWhole = false;
    }
    if (!isOpen) {
      if (shown.size === 0) sayNothing(context, id, wanted, items);
      return isWhole ? EXIT.ok : EXIT.unavailable;
    }
  }
}

/** Whether the execution goes on; waits a moment where it does, for logs that begin. */
async function isUnderWay(context: Context, id: string): Promise<boolean> {
  const { endedAtMs } = await context
    .client()
    .call('executions.get', { params: { id }, query: { wait: 1 } }, { signal: context.signal });
  return endedAtMs === undefined;
}

interface Manner {
  readonly from: number;
  readonly follow: boolean;
  readonly heading: boolean;
}

/** False: its server is gone, which is said in its place; the others are shown all the same. */
async function show(context: Context, id: string, log: Log, manner: Manner): Promise<boolean> {
  const { terminal, json } = context;
  const { task, state, unreadable } = log;
  if (manner.heading && !json) terminal.err(terminal.colors.bold(`${state} (${task})`));
  try {
    if (unreadable !== undefined) throw new KilnError(unreadable.code, unreadable.message);
    await write(context, id, log, manner);
    return true;
  } catch (thrown) {
    if (!(thrown instanceof KilnError && isOfItsServer(thrown))) throw thrown;
    terminal.err(terminal.colors.red(thrown.message));
    return false;
  }
}

function isOfItsServer({ code }: KilnError): boolean {
  return code === 'server.gone' || code === 'server.unreachable';
}

async function write(context: Context, id: string, log: Log, { from, follow }: Manner): Promise<void> {
  const { terminal, json, signal } = context;
  const { task, server, state } = log;
  let rest = '';
  const query = { server, from, follow: follow ? ('true' as const) : ('false' as const) };
  const input = { params: { id, task }, query };
  for await (const { event, data = '{}' } of context.client().follow('executions.log', input, { signal })) {
    if (event !== 'text') continue;
    const piece: Piece = JSON.parse(data);
    if (json) {
      terminal.out(JSON.stringify({ task, state, ...piece }));
      continue;
    }
    rest = print(context, piece, rest);
  }
  if (rest !== '') terminal.out(rest);
}

/** Whole lines under their headings; returns what is no whole line yet. */
function print({ terminal }: Context, { line, text, groups }: Piece, before: string): string {
  const lines = (before + text).split('\n');
  const rest = lines.pop() ?? '';
  let printed = 0;
  for (const group of groups) {
    const until = Math.min(lines.length, group.line - line);
    if (until > printed) terminal.out(lines.slice(printed, until).join('\n'));
    printed = Math.max(printed, until);
    terminal.err(terminal.colors.dim(`▸ ${group.title}`));
  }
  if (printed < lines.length) terminal.out(lines.slice(printed).join('\n'));
  return rest;
}

function sayNothing(context: Context, id: string, wanted: string | undefined, items: readonly Log[]): void {
  if (wanted !== undefined && items.length > 0) {
    throw new KilnError('not-found', `No task of ${id} that is called "${wanted}" has a log.`, {
      next: `There are: ${[...new Set(items.map(({ state }) => state))].join(', ')}.`,
    });
  }
  hint(context, `no task of ${id} has written anything`);
}

function lineOf(text = '1'): number {
  if (/^-?[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw new KilnError('input.invalid', `"${text}" is not a line to begin at.`, {
    next: 'Give its number, or a negative one to count from the end: --from=-100',
  });
}
