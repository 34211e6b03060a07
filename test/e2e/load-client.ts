/**
 * Constant load from a process of its own: keep-alive connections that never pause unless told to, and new
 * connections all the time. Runs until SIGTERM, then prints one line of JSON; ends with its stdin too, for then nobody
 * is left who would stop it. Counts as failed: a status of 500 or more, a reset, a time-out, a body shorter than
 * announced.
 *
 * Usage: node load-client.ts HOST:PORT HOST_HEADER PATH CONNECTIONS NEW_CONNECTIONS_PER_SECOND [PAUSE_MS]
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export interface LoadReport {
  readonly requests: number;
  readonly failed: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly failedRequests: readonly FailedRequest[];
  readonly answers: Readonly<Record<string, number>>;
  /** The most connections that were open at one time. */
  readonly mostOpen: number;
}

/** Times as of `Date.now`. */
export interface FailedRequest {
  readonly why: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

const TIMEOUT_MS = 15_000;
const [address = '', hostHeader = '', requestPath = '/', connections = '16', newPerSecond = '50', pauseMs] =
  process.argv.slice(2);
const [host, port] = [
  address.slice(0, address.lastIndexOf(':')),
  Number(address.slice(address.lastIndexOf(':') + 1)),
];

let requests = 0;
let stopping = false;
const failures: Record<string, number> = {};
const failedRequests: FailedRequest[] = [];
const answers: Record<string, number> = {};
const open = new Set<Socket>();
let mostOpen = 0;

function fail(why: string, startedAtMs: number): void {
  failures[why] = (failures[why] ?? 0) + 1;
  failedRequests.push({ why, startedAtMs, endedAtMs: Date.now() });
}

/** One request on a connection; resolves to whether the connection can go on. */
function ask(socket: Socket, close: boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const startedAtMs = Date.now();
    let received: Buffer = Buffer.alloc(0);
    const timer = setTimeout(() => end('time-out'), TIMEOUT_MS);
    const end = (failure: string | undefined, goesOn = false): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('error', onError).off('close', onClose);
      requests += 1;
      if (failure !== undefined) fail(failure, startedAtMs);
      resolve(failure === undefined && goesOn);
    };
    const onData = (chunk: Buffer): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const answer = readAnswer(received);
      if (answer === undefined) return;
      answers[answer.release] = (answers[answer.release] ?? 0) + 1;
      end(answer.status >= 500 ? `status ${answer.status}` : undefined, !close && !answer.closes);
    };
    const onError = (error: Error): void => end(`error ${'code' in error ? error.code : error.message}`);
    const onClose = (): void => end(received.length === 0 ? 'closed without an answer' : 'short body');
    socket.on('data', onData).on('error', onError).on('close', onClose);
    const connection = close ? 'close' : 'keep-alive';
    socket.write(`GET ${requestPath} HTTP/1.1\r\nHost: ${hostHeader}\r\nConnection: ${connection}\r\n\r\n`);
  });
}

function readAnswer(bytes: Buffer): { status: number; closes: boolean; release: string } | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const head = bytes.toString('latin1', 0, headEnd);
  const status = Number(head.slice(9, 12));
  const length = /\r\ncontent-length: *(\d+)/i.exec(head);
  const closes = /\r\nconnection: *close/i.test(head);
  const release = /\r\nx-release: *(\S+)/i.exec(head)?.[1] ?? 'unknown';
  const body = bytes.subarray(headEnd + 4);
  const whole = length === null ? body.includes('0\r\n\r\n') : body.length >= Number(length[1]);
  return whole ? { status, closes, release } : undefined;
}

function dial(): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const startedAtMs = Date.now();
    const socket = connect({ host, port, noDelay: true });
    open.add(socket);
    mostOpen = Math.max(mostOpen, open.size);
    const refused = (error: Error): void => {
      requests += 1;
      fail(`connect ${'code' in error ? error.code : error.message}`, startedAtMs);
      resolve(undefined);
    };
    socket.once('error', refused);
    socket.once('connect', () => {
      // From here on each request counts its own failure, and one that nobody asked on fails nothing.
      socket.off('error', refused).on('error', () => undefined);
      resolve(socket);
    });
    socket.once('close', () => open.delete(socket));
  });
}

async function pause(): Promise<void> {
  if (pauseMs !== undefined) await sleep(Number(pauseMs));
}

async function keepAsking(): Promise<void> {
  while (!stopping) {
    const socket = await dial();
    await pause();
    if (socket === undefined) continue;
    let goesOn = true;
    // One that was closed while nobody asked is no failure: the next is dialled.
    while (goesOn && !stopping && !socket.destroyed) {
      goesOn = await ask(socket, false);
      await pause();
    }
    socket.destroy();
  }
}

async function askOnce(): Promise<void> {
  const socket = await dial();
  if (socket === undefined) return;
  await ask(socket, true);
  socket.destroy();
}

const workers = Array.from({ length: Number(connections) }, () => keepAsking());
const pending = new Set<Promise<void>>();
const ticker = setInterval(() => {
  const once = askOnce();
  pending.add(once);
  void once.finally(() => pending.delete(once));
}, 1000 / Number(newPerSecond));

process.stdin.once('end', () => process.exit(1)).resume();
process.once('SIGTERM', async () => {
  stopping = true;
  clearInterval(ticker);
  await Promise.all([...workers, ...pending]);
  const failed = Object.values(failures).reduce((sum, count) => sum + count, 0);
  const report: LoadReport = {
    ...{ requests, failed, failures, failedRequests, answers },
    mostOpen,
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
  process.exit(0);
});
