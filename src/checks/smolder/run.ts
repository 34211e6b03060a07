/** Sends the tests of a file and collects what came of them. The only part that waits. */
import { asKilnError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import { type CheckAddress, destinationOf, originOf } from './address.ts';
import { connectionFailure } from './connection-failure.ts';
import { commandLine, shownUrl } from './curl.ts';
import { sendHttp } from './http.ts';
import { askLdap } from './ldap.ts';
import { buildRequest } from './request.ts';
import { maskSecrets, secretsOf } from './secrets.ts';
import { SMOLDER_TCP_ATTEMPTS, type TcpAttempt, tcpTest } from './tcp.ts';
import {
  type Answer,
  failed,
  type OutcomeResult,
  type Protocol,
  passed,
  type SmokeTest,
} from './test-file.ts';

export interface RunOptions {
  readonly tests: readonly SmokeTest[];
  readonly address: CheckAddress;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Tests under way at a time; 1 when absent. */
  readonly concurrency?: number;
  /** How often a failed test is tried again; 0 when absent. */
  readonly retries?: number;
  /** Until this time has passed, a test that a starting service would fail is tried again; 0 when absent. */
  readonly waitMs?: number;
  readonly tcpAttempts?: number;
  /** Counted after decompression; 16 MiB when absent. */
  readonly maxBodyBytes?: number;
  /** Reads the PEM file that `verify` names; absent: such a test fails, and no file is read. */
  readonly readAuthorities?: (path: string) => Promise<string>;
  /** Called in the order of the file, as soon as a test and all before it are done. */
  readonly onResult?: (result: TestResult) => void;
}

export interface TestResult {
  readonly name: string;
  readonly protocol: Protocol;
  readonly url: string;
  readonly commandLine: string;
  readonly colour: boolean;
  readonly line: number;
  readonly tcpAttempts: readonly TcpAttempt[];
  readonly outcomes: readonly OutcomeResult[];
  readonly durationMs: number;
  /** How often it was tried, the last time included. */
  readonly tries: number;
  readonly status?: number;
  /** Only for `show_body`, secrets masked. */
  readonly body?: string;
}

export interface CheckRun {
  readonly tests: readonly TestResult[];
  /** Outcomes, as Smolder counts. */
  readonly passedCount: number;
  readonly failedCount: number;
  readonly durationMs: number;
}

const DEFAULT_MAX_BODY_BYTES = 16 * 1024 * 1024;
const RETRY_PAUSE_MS = 500;
const WAIT_PAUSE_MS = 200;
/** What a service, or the router before it, answers while it starts. */
const STARTING_STATUSES = [502, 503, 504];

/** Fails only with `aborted`; whatever a service does is a failed test. */
export async function runChecks(options: RunOptions): Promise<CheckRun> {
  const { clock } = options;
  const begunMs = clock.monotonic();
  const results: TestResult[] = [];
  let reported = 0;
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < options.tests.length; index = next++) {
      const test = options.tests[index];
      if (test === undefined) break;
      results[index] = await persistently(test, options, begunMs);
      for (let done = results[reported]; done !== undefined; done = results[++reported])
        options.onResult?.(done);
    }
  };
  const workers = Math.max(1, Math.min(options.concurrency ?? 1, options.tests.length));
  try {
    await Promise.all(Array.from({ length: workers }, worker));
  } catch (thrown) {
    next = options.tests.length;
    throw asKilnError(thrown);
  }
  const outcomes = results.flatMap((result) => result.outcomes);
  const failedCount = outcomes.filter((outcome) => outcome.status === 'fail').length;
  return {
    tests: results,
    passedCount: outcomes.length - failedCount,
    failedCount,
    durationMs: clock.monotonic() - begunMs,
  };
}

/** Tries again while the service may be starting, and then as often as asked. */
async function persistently(test: SmokeTest, options: RunOptions, begunMs: number): Promise<TestResult> {
  let retriesLeft = options.retries ?? 0;
  for (let tries = 1; ; tries++) {
    const { result, mayBeStarting } = await once(test, options);
    const isGood = result.outcomes.every((outcome) => outcome.status === 'pass');
    const waits = mayBeStarting && options.clock.monotonic() - begunMs < (options.waitMs ?? 0);
    if (isGood || (!waits && retriesLeft <= 0)) return { ...result, tries };
    if (!waits) retriesLeft -= 1;
    await options.clock.sleep(waits ? WAIT_PAUSE_MS : RETRY_PAUSE_MS, options.signal);
  }
}

interface Try {
  readonly result: TestResult;
  readonly mayBeStarting: boolean;
}

async function once(test: SmokeTest, options: RunOptions): Promise<Try> {
  const begunMs = options.clock.monotonic();
  const secrets = secretsOf(test);
  const mask = (text: string) => maskSecrets(text, secrets);
  const destination = destinationOf(test, options.address);
  const finish = (
    outcomes: readonly OutcomeResult[],
    mayBeStarting: boolean,
    more: Partial<TestResult> = {},
  ): Try => ({
    mayBeStarting,
    result: {
      name: mask(test.name),
      protocol: destination.protocol,
      url: shownUrl(test, options.address),
      commandLine: commandLine(test, options.address),
      colour: test.colour,
      line: test.location.line,
      tcpAttempts: [],
      outcomes: outcomes.map((outcome) => ({ ...outcome, message: mask(outcome.message) })),
      durationMs: options.clock.monotonic() - begunMs,
      tries: 1,
      ...more,
    },
  });
  let tcpAttempts: readonly TcpAttempt[] = [];
  if (destination.protocol === 'tcp' || test.tcpTest) {
    const attempts = options.tcpAttempts ?? SMOLDER_TCP_ATTEMPTS;
    tcpAttempts = await tcpTest(destination, attempts, options.clock, options.signal);
    const connected = tcpAttempts.at(-1)?.passed ?? false;
    if (!connected || destination.protocol === 'tcp') {
      return finish([connectOutcome(connected, destination)], !connected, { tcpAttempts });
    }
  }
  try {
    const answer = await ask(test, options, mask);
    const outcomes = test.outcomes.flatMap((outcome) => outcome.check(answer));
    const bound = answer.kind === 'ldap' && outcomes.length === 0 ? [passed('ldap', 'Bound')] : [];
    const starting = answer.kind === 'http' && STARTING_STATUSES.includes(answer.status);
    return finish([...outcomes, ...bound], starting, {
      tcpAttempts,
      durationMs: answer.durationMs,
      ...(answer.kind === 'http' ? { status: answer.status } : {}),
      ...(answer.kind === 'http' && test.showBody ? { body: mask(answer.body) } : {}),
    });
  } catch (thrown) {
    options.signal.throwIfAborted();
    const failure = connectionFailure(thrown, originOf(destination), test.inputs.timeoutMs);
    return finish([failure.outcome], failure.mayBeStarting, { tcpAttempts });
  }
}

function connectOutcome(connected: boolean, { host, port }: { host: string; port: number }): OutcomeResult {
  const message = `Connecting to ${host} on port ${port}`;
  return connected ? passed('tcp_test', message) : failed('tcp_test', message);
}

async function ask(test: SmokeTest, options: RunOptions, mask: (text: string) => string): Promise<Answer> {
  const { timeoutMs, verify } = test.inputs;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(timeoutMs)]);
  const destination = destinationOf(test, options.address);
  const isTls = destination.protocol === 'https' || destination.protocol === 'ldaps';
  const authorities =
    isTls && typeof verify === 'string' ? await readAuthorities(verify, options) : undefined;
  const begunMs = options.clock.monotonic();
  const taken = () => ({ durationMs: options.clock.monotonic() - begunMs, mask });
  try {
    if (destination.protocol === 'ldap' || destination.protocol === 'ldaps') {
      const certificates = authorities === undefined ? {} : { authorities };
      const inputs = test.ldap;
      const comparisons = await askLdap({ destination, inputs, timeoutMs, verify, ...certificates }, signal);
      return { kind: 'ldap', comparisons, ...taken() };
    }
    const limits = { maxBodyBytes: options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES };
    const answer = await sendHttp(buildRequest(test, options.address), authorities, limits, signal);
    const { status, headers, body } = answer;
    return { kind: 'http', status, headers, body, ...taken() };
  } catch (thrown) {
    // Node tells of a deadline as an AbortError; its cause is the deadline itself.
    throw signal.aborted && !options.signal.aborted ? signal.reason : thrown;
  }
}

async function readAuthorities(path: string, options: RunOptions): Promise<string> {
  if (options.readAuthorities === undefined) {
    throw new Error(`"verify" names the file ${path}, and no files are read for this check`);
  }
  return options.readAuthorities(path);
}
