/**
 * HAProxy's runtime socket: commands on one kept connection, as many at once as there are. In its interactive
 * mode every answer ends with a prompt, so that each is told from the next.
 */
import net from 'node:net';
import { KilnError } from '../../domain/errors.ts';

const PROMPT = '\n> ';
const ANSWER_TIMEOUT_MS = 10_000;

interface Waiting {
  resolve(answer: string): void;
  reject(error: Error): void;
}

export class RuntimeSocket {
  readonly #file: string;
  readonly #onLost: () => void;
  #connection: Promise<Connection> | undefined;

  /** `onLost` is told when a connection that stood is gone. */
  constructor(file: string, onLost: () => void = () => undefined) {
    this.#file = file;
    this.#onLost = onLost;
  }

  /** The answers in the order of the commands. Fails with `router.unreachable` when nobody answers. */
  async run(commands: readonly string[]): Promise<string[]> {
    if (commands.length === 0) return [];
    if (this.#connection === undefined) {
      const connection = Connection.open(this.#file, () => this.#lost(connection));
      this.#connection = connection;
    }
    const connection = this.#connection;
    try {
      return await (await connection).run(commands);
    } catch (thrown) {
      if (this.#connection === connection) this.disconnect();
      throw new KilnError('router.unreachable', `HAProxy does not answer on ${this.#file}.`, {
        cause: thrown,
        next: 'Wait for the server to start it again; `kiln doctor` says what is wrong.',
        retryable: true,
      });
    }
  }

  /** Lets go of the connection; the next command makes a new one, to the newest worker. */
  disconnect(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    connection?.then(
      (open) => open.close(),
      () => undefined, // it never stood, which its callers were told
    );
  }

  #lost(connection: Promise<Connection>): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.#onLost();
  }
}

class Connection {
  readonly #socket: net.Socket;
  readonly #waiting: Waiting[] = [];
  #text = '';

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#take(text));
  }

  static open(file: string, onLost: () => void): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = net.connect(file);
      let connection: Connection | undefined;
      let cause: Error | undefined;
      socket.on('error', (error) => {
        cause = error;
      });
      socket.on('close', () => {
        const error = cause ?? new Error('the connection was closed');
        if (connection === undefined) reject(error);
        else {
          connection.#rejectAll(error);
          onLost();
        }
      });
      socket.on('connect', () => {
        const opened = new Connection(socket);
        opened.#send('prompt').then(() => {
          connection = opened;
          resolve(opened);
        }, reject);
      });
    });
  }

  async run(commands: readonly string[]): Promise<string[]> {
    this.#socket.ref();
    try {
      return await Promise.all(commands.map((command) => this.#send(command)));
    } finally {
      // A server need not stay alive for its router's socket.
      if (this.#waiting.length === 0) this.#socket.unref();
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(command: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#socket.destroy(new Error(`no answer to "${command}"`)),
        ANSWER_TIMEOUT_MS,
      );
      this.#waiting.push({
        resolve: (answer) => {
          clearTimeout(timer);
          resolve(answer);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.#socket.write(`${command}\n`, 'latin1');
    });
  }

  #take(text: string): void {
    this.#text += text;
    for (let end = this.#text.indexOf(PROMPT); end !== -1; end = this.#text.indexOf(PROMPT)) {
      const answer = this.#text.slice(0, end);
      this.#text = this.#text.slice(end + PROMPT.length);
      this.#waiting.shift()?.resolve(answer.trim());
    }
  }

  #rejectAll(error: Error): void {
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }
}

/** One command on a connection of its own, as the master's socket wants it. */
export function runOnce(file: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path: file, allowHalfOpen: true });
    const timer = setTimeout(() => socket.destroy(new Error(`no answer to "${command}"`)), ANSWER_TIMEOUT_MS);
    let text = '';
    socket.setEncoding('latin1');
    // The master waits for more until it is told that there is none.
    socket.on('connect', () => socket.end(`${command}\n`, 'latin1'));
    socket.on('data', (piece: string) => {
      text += piece;
    });
    socket.on('error', (cause) => {
      reject(
        new KilnError('router.unreachable', `HAProxy does not answer on ${file}.`, {
          cause,
          retryable: true,
        }),
      );
    });
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(text.trim());
    });
  });
}
