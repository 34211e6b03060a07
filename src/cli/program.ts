/** From arguments to an exit code: picks the verb, gives it its context, shows how it failed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Command, CommanderError } from 'commander';
import { EXIT, exitCodeOf } from '../api/failures.ts';
import { asKilnError } from '../domain/errors.ts';
import { refuseOptionsOfOthers } from './action-options.ts';
import { connect } from './connect.ts';
import type { Context, Flags } from './context.ts';
import { type Environment, stateDirectory } from './environment.ts';
import { showFailure } from './failure.ts';
import { interruptible } from './interrupt.ts';
import { Progress } from './progress.ts';
import { type Output, openTerminal, type Terminal } from './terminal.ts';
import type { VerbEntry } from './verb-table/verb-entry.ts';
import { VERBS } from './verb-table.ts';

export interface CommandLine {
  readonly args: readonly string[];
  readonly env: Environment;
  readonly serverEntry: string;
  readonly packageFile: string;
  readonly stdin: Context['stdin'];
  readonly stdout: Output;
  readonly stderr: Output;
  /** Where people are asked and answer, when both are a terminal. */
  readonly asking?: { readonly input: NodeJS.ReadableStream; readonly output: NodeJS.WritableStream };
}

export async function runCommandLine(line: CommandLine): Promise<number> {
  const terminal = openTerminal(line.stdout, line.stderr, line.env);
  let exitCode: number = EXIT.ok;
  const program = describeProgram(terminal, async (verb, args, flags) => {
    exitCode = await runVerb(verb, args, flags, line, terminal);
  });
  try {
    await program.parseAsync([...line.args], { from: 'user' });
    return exitCode;
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
}

type Action = (verb: VerbEntry, args: readonly string[], flags: Flags) => Promise<void>;

function describeProgram(terminal: Terminal, act: Action): Command {
  const program = new Command('kiln')
    .description(
      'Bake a service once, prove it, promote it, and replace what runs with it, without dropping a request.',
    )
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text.trimEnd()),
      writeErr: (text) => terminal.err(text.trimEnd()),
    })
    .helpCommand('help [verb]', 'show the help of a verb')
    .showSuggestionAfterError();
  for (const verb of VERBS) {
    const command = program
      .command(`${verb.name} ${verb.args}`.trim())
      .summary(verb.summary)
      .description(verb.summary)
      .copyInheritedSettings(program)
      .addHelpText('after', helpAfter(verb));
    for (const [flags, description, repeated] of verb.options) {
      if (repeated === undefined) command.option(flags, description);
      else command.option(flags, description, (text: string, before: string[] = []) => [...before, text]);
    }
    command.option('--json', 'answer with one JSON document on stdout; failures as JSON on stderr');
    command.action((...given: unknown[]) => {
      const args = given
        .slice(0, -2)
        .flat()
        .filter((one): one is string => typeof one === 'string');
      return act(verb, args, command.opts());
    });
  }
  return program;
}

function helpAfter(verb: VerbEntry): string {
  const interrupt = verb.interrupt === undefined ? '' : `\nCtrl-C:\n  ${verb.interrupt}\n`;
  return `${actionsText(verb)}\nExample:\n  ${verb.example}\n${interrupt}\nExit codes and JSON shapes: docs/cli.md`;
}

function actionsText({ actions = [] }: VerbEntry): string {
  if (actions.length === 0) return '';
  const width = Math.max(...actions.map(([call]) => call.length));
  return `\nActions:\n${actions.map(([call, what]) => `  ${call.padEnd(width)}  ${what}\n`).join('')}`;
}

async function runVerb(
  verb: VerbEntry,
  args: readonly string[],
  flags: Flags,
  line: CommandLine,
  terminal: Terminal,
): Promise<number> {
  const json = flags.json === true;
  const progress = new Progress(terminal, json, () => performance.now());
  const interrupt = interruptible(terminal, progress, json);
  const directory = stateDirectory(line.env, typeof flags.state === 'string' ? flags.state : undefined);
  const { asking } = line;
  const canAsk = asking !== undefined && line.stdin.isTTY === true && terminal.live && !json;
  const context: Context = {
    args,
    flags,
    env: line.env,
    stateDirectory: directory,
    serverEntry: line.serverEntry,
    packageFile: line.packageFile,
    terminal,
    progress,
    json,
    stdin: line.stdin,
    ...(canAsk && {
      questions: async () =>
        (await import('./questions.ts')).openQuestions(asking.input, asking.output, interrupt.signal),
    }),
    now: () => Date.now(),
    sleep: (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }),
    signal: interrupt.signal,
    onInterrupt: interrupt.onInterrupt,
    client: () => connect(line.env, directory),
  };
  try {
    refuseOptionsOfOthers(verb, args[0], flags);
    const { run } = await verb.load();
    return await interrupt.orInterrupted(run(context));
  } catch (thrown) {
    progress.close();
    const error = asKilnError(thrown);
    await showFailure(error, terminal, json);
    return exitCodeOf(error);
  } finally {
    progress.close();
    interrupt.close();
  }
}
