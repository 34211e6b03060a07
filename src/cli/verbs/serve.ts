/** Runs the server in the foreground: its own process, with this one's output, signals handed on. */
import { spawn } from 'node:child_process';
import { EXIT } from '../../api/failures.ts';
import { type Context, textFlag } from '../context.ts';
import { serverCommand } from '../server-command.ts';

const VALUE_FLAGS = ['state', 'listen', 'router', 'routerListen'] as const;

export async function run(context: Context): Promise<number> {
  const { program, args, env } = serverCommand(context.serverEntry, serverArguments(context), context.env);
  const child = spawn(program, args, { env, stdio: 'inherit' });
  // A terminal sends Ctrl-C to both; the server decides when it has ended.
  const { promise: gone, resolve, reject } = Promise.withResolvers<number>();
  child.once('error', reject);
  child.once('exit', (code, signal) => resolve(code ?? (signal === 'SIGKILL' ? EXIT.internal : EXIT.ok)));
  context.onInterrupt(async () => {
    child.kill('SIGTERM');
    await gone;
    return 'the server has stopped; instances and routers go on (kiln down stops them)';
    // Whoever asked it to stop got what was asked for.
  }, EXIT.ok);
  return gone;
}

export function serverArguments({ flags }: Pick<Context, 'flags'>): readonly string[] {
  const values = VALUE_FLAGS.flatMap((name) => {
    const value = textFlag(flags, name);
    return value === undefined ? [] : [`--${name === 'routerListen' ? 'router-listen' : name}`, value];
  });
  return flags.takeOver === true ? [...values, '--take-over'] : values;
}
