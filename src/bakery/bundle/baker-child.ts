/**
 * One baker process as the server holds it. Calls run side by side; each ends with an answer, a failure, or the
 * process's own end. The server's own life does not hang on it: it is referenced only while calls are under way.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { asKilnError, KilnError } from '../../domain/errors.ts';
import type { BuildProgress } from '../../domain/ports/builder.ts';
import { BUILD_MARK } from '../build-mark.ts';
import {
  type Answers,
  asError,
  type BakerSetup,
  type Call,
  type FromBaker,
  type ToBaker,
} from './baker-messages.ts';

const CLOSE_LIMIT_MS = 10_000;

interface PendingCall {
  readonly call: Call;
  readonly onProgress: (progress: BuildProgress) => void;
  readonly resolve: (answer: never) => void;
  readonly reject: (error: KilnError) => void;
}

export class BakerChild {
  readonly #process: ChildProcess;
  readonly #onLost: (unfinished: readonly Call[]) => Promise<void>;
  readonly #calls = new Map<number, PendingCall>();
  readonly #ended = Promise.withResolvers<KilnError>();
  #lastId = 0;
  #closing = false;

  /**
   * @param entry absolute path of the process's entry file
   * @param onLost called when it has ended unasked, before its calls fail: removes what it has left
   */
  constructor(entry: string, setup: BakerSetup, onLost: (unfinished: readonly Call[]) => Promise<void>) {
    this.#onLost = onLost;
    this.#process = fork(entry, [], {
      // A server that starts after a crash finds it by this mark, as it finds build commands, and ends it.
      env: { [BUILD_MARK.variable]: `${setup.stateDirectory}#${setup.name}#` },
      execArgv: [],
      cwd: '/',
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#process.on('message', (message: FromBaker) => this.#heard(message));
    this.#process.once('exit', (code, signal) => this.#ended.resolve(endedEarly(code, signal)));
    this.#process.once('error', (cause) => this.#ended.resolve(notStarted(cause)));
    void this.#ended.promise.then((error) => this.#lost(error));
    this.#send({ kind: 'open', setup });
    this.#holdOn(false);
  }

  /** True while a call is under way. */
  get isBusy(): boolean {
    return this.#calls.size > 0;
  }

  call<Verb extends Call['verb']>(
    call: Extract<Call, { verb: Verb }>,
    onProgress: (progress: BuildProgress) => void,
    signal: AbortSignal,
  ): Promise<Answers[Verb]> {
    this.#lastId += 1;
    const id = this.#lastId;
    const answered = new Promise<Answers[Verb]>((resolve, reject) => {
      this.#calls.set(id, { call, onProgress, resolve, reject });
    });
    this.#holdOn(true);
    this.#send({ kind: 'call', id, call });
    const onAbort = (): void => this.#send({ kind: 'abort', id });
    signal.addEventListener('abort', onAbort, { once: true });
    return answered.finally(() => signal.removeEventListener('abort', onAbort));
  }

  /** Ends it when nothing is under way; resolves when it has ended. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#holdOn(true);
    this.#send({ kind: 'close' });
    const limit = setTimeout(() => this.#process.kill('SIGKILL'), CLOSE_LIMIT_MS);
    await this.#ended.promise;
    clearTimeout(limit);
  }

  #heard(message: FromBaker): void {
    const call = this.#calls.get(message.id);
    if (message.kind === 'progress') {
      call?.onProgress(message.progress);
      return;
    }
    this.#calls.delete(message.id);
    if (!this.isBusy) this.#holdOn(false);
    // Each call is answered with what its verb gives; `call` ties the two together.
    if (message.kind === 'answer') call?.resolve(message.answer as never);
    else call?.reject(asError(message.failure));
  }

  async #lost(error: KilnError): Promise<void> {
    if (this.#closing) return;
    const unfinished = [...this.#calls.values()];
    let reason = error;
    try {
      await this.#onLost(unfinished.map(({ call }) => call));
    } catch (cause) {
      reason = asKilnError(cause);
    }
    for (const { reject } of unfinished) reject(reason);
    this.#calls.clear();
  }

  #send(message: ToBaker): void {
    // A message to a process that has just ended is lost: its end fails the call.
    if (this.#process.connected) this.#process.send(message, () => undefined);
  }

  #holdOn(holds: boolean): void {
    if (holds) {
      this.#process.ref();
      this.#process.channel?.ref();
    } else {
      this.#process.unref();
      this.#process.channel?.unref();
    }
  }
}

function endedEarly(code: number | null, signal: NodeJS.Signals | null): KilnError {
  const how = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
  return new KilnError('build.failed', `The process that bakes ${how} in the middle of its work.`, {
    next: 'Try again; if it happens again, see whether the machine has too little memory (dmesg names what was ended).',
    retryable: true,
  });
}

function notStarted(cause: Error): KilnError {
  return new KilnError('build.failed', `The process that bakes could not be started: ${cause.message}`, {
    cause,
    next: 'See whether the machine has too many processes or too little memory, then try again.',
    retryable: true,
  });
}
