import type { Client } from '../../api/client.ts';
import { EXIT } from '../../api/failures.ts';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import { componentName, environmentName } from '../../domain/ids.ts';
import { type CheckSubject, checkSubject } from '../check-subject.ts';
import { answer, type Context, choiceFlag, hint, numberFlag } from '../context.ts';
import { type CheckRun, checkFailure, failed, untilEnded } from '../ended-work.ts';
import { showFailure } from '../failure.ts';

export async function run(context: Context): Promise<number> {
  const [what = '', more] = context.args;
  const subject = checkSubject(what, more);
  if (subject.kind === 'host') return checkHostWithoutServer(context, subject);
  const client = context.client();
  const body =
    subject.kind === 'image'
      ? { image: subject.image }
      : { component: componentName(subject.component), environment: environmentName(subject.environment) };
  const run = await checkIt(context, client, body, context.args.join(' '));
  const failure = checkFailure(run);
  answer(context, run, () => undefined);
  if (failure?.code === 'check.failed') {
    hint(context, failure.next ?? '');
    return EXIT.negative;
  }
  if (failure !== undefined) return failed(context, failure);
  if (subject.kind === 'image') hint(context, `next: kiln promote ${subject.image} candidate`);
  return EXIT.ok;
}

/** Checks to the end, saying each result; Ctrl-C only stops waiting. */
export async function checkIt(
  context: Context,
  client: Client,
  body:
    | { readonly image: string }
    | {
        readonly component: ReturnType<typeof componentName>;
        readonly environment: ReturnType<typeof environmentName>;
      },
  name: string,
): Promise<CheckRun> {
  const { progress, signal, terminal } = context;
  progress.begin(`checking ${name}`);
  const begun = await client.call('checks.start', { body }, { signal, waitSeconds: 5 });
  context.onInterrupt(
    () => `the check goes on in the server; its result stays with the image: kiln images --image ${name}`,
  );
  const run = await untilEnded(
    begun,
    ({ state }) => state !== 'running',
    (wait) => client.call('checks.get', { params: { id: begun.id }, query: { wait } }, { signal }),
  );
  const passed = run.results.reduce((sum, result) => sum + result.passedCount, 0);
  const failedCount = run.results.reduce((sum, result) => sum + result.failedCount, 0);
  for (const result of run.results)
    for (const line of result.failures) progress.line(`  ${terminal.colors.red(result.kind)} ${line}`);
  if (run.state === 'passed') progress.end('done', `${name}: ${passed} checks passed`);
  else if (run.state === 'failed')
    progress.end('failed', `${name}: ${failedCount} of ${passed + failedCount} checks failed`);
  else progress.end('failed', `${name} could not be checked`);
  return run;
}

/** Exit codes here are Smolder's: 0 passed, 1 failed, 2 no tests in the list, 3 no list, 5 to 7 a file that cannot be used. */
async function checkHostWithoutServer(
  context: Context,
  subject: Extract<CheckSubject, { kind: 'host' }>,
): Promise<number> {
  const { checkFileExitCode, checkHost } = await import('../../checks/check-host.ts');
  const { flags, terminal, env } = context;
  const format = choiceFlag(flags, 'format', '--format', ['text', 'json', 'junit'] as const);
  const numbers = {
    concurrency: numberFlag(flags, 'concurrency', '--concurrency'),
    retries: numberFlag(flags, 'retries', '--retries'),
    waitMs: secondsFlag(context),
  };
  const given = Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined));
  try {
    return await checkHost({
      host: subject.host,
      file: await checkFile(context, subject.file ?? env.TEST_FILE),
      format: format ?? (context.json ? 'json' : 'text'),
      colour: terminal.colors.isColorSupported,
      clock: { now: context.now, monotonic: () => performance.now(), sleep: context.sleep },
      signal: context.signal,
      write: (text) => terminal.out(text.replace(/\n$/, '')),
      ...given,
    });
  } catch (thrown) {
    const error = asKilnError(thrown);
    const exitCode = checkFileExitCode(error);
    if (exitCode === undefined) throw thrown;
    await showFailure(error, terminal, context.json);
    return exitCode;
  }
}

function secondsFlag(context: Context): number | undefined {
  const seconds = numberFlag(context.flags, 'wait', '--wait');
  return seconds === undefined ? undefined : seconds * 1000;
}

async function checkFile(
  { stdin }: Context,
  file: string | undefined,
): Promise<{ readonly path: string } | { readonly text: string; readonly name: string }> {
  if (file !== undefined && file !== '-') return { path: file };
  if (file === undefined && stdin.isTTY) {
    throw new KilnError('input.invalid', 'No check file is given.', {
      next: 'Give one: kiln check HOST FILE; or pipe it in.',
    });
  }
  let text = '';
  for await (const piece of stdin) text += piece.toString();
  return { text, name: 'stdin' };
}
