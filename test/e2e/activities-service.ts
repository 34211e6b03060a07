/**
 * A stand-in for the Activities of AWS Step Functions, from their published API reference: GetActivityTask holds the
 * call until there is a task, a token works until its task has ended. Every request's signature is checked here anew.
 */
import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const HELD_MS = 5_000;

interface Task {
  readonly taskToken: string;
  readonly arn: string;
  readonly input: string;
  readonly end: (end: Ended) => void;
  taken: boolean;
  beats: number;
  timedOut: boolean;
}

export interface Ended {
  readonly output?: unknown;
  readonly error?: string;
  readonly cause?: string;
}

export class ActivitiesService {
  readonly secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
  readonly refusals: string[] = [];
  readonly #tasks = new Map<string, Task>();
  readonly #server = createServer((request, response) => void this.#serve(request, response));

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** As a state machine that comes to a Task; what it is told. */
  ask(arn: string, input: unknown): { readonly task: Task; readonly ended: Promise<Ended> } {
    const { promise, resolve } = Promise.withResolvers<Ended>();
    const taskToken = `AAAA${createHash('sha256').update(String(this.#tasks.size)).digest('base64')}`;
    const task = {
      taskToken,
      arn,
      input: JSON.stringify(input),
      end: resolve,
      taken: false,
      beats: 0,
      timedOut: false,
    };
    this.#tasks.set(taskToken, task);
    return { task, ended: promise };
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const piece of request) body += piece;
    const answer = (status: number, value: object) => {
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(value));
    };
    const refuse = (type: string) => {
      this.refusals.push(type);
      answer(400, { __type: `com.amazonaws.states#${type}`, message: type });
    };
    if (!this.#isSigned(request, body)) return refuse('InvalidSignatureException');
    const given = JSON.parse(body);
    const operation = String(request.headers['x-amz-target']).replace('AWSStepFunctions.', '');
    if (operation === 'GetActivityTask') {
      const task = await this.#next(given.activityArn, request);
      return answer(200, task === undefined ? {} : { taskToken: task.taskToken, input: task.input });
    }
    const task = this.#tasks.get(given.taskToken);
    if (task === undefined) return refuse('InvalidToken');
    if (task.timedOut) return refuse('TaskTimedOut');
    if (operation === 'SendTaskHeartbeat') task.beats += 1;
    else {
      task.timedOut = true;
      if (operation === 'SendTaskSuccess') task.end({ output: JSON.parse(given.output) });
      if (operation === 'SendTaskFailure') task.end({ error: given.error, cause: given.cause });
    }
    answer(200, {});
  }

  async #next(arn: string, request: IncomingMessage): Promise<Task | undefined> {
    for (const until = Date.now() + HELD_MS; Date.now() < until && !request.socket.destroyed; ) {
      const task = [...this.#tasks.values()].find((one) => one.arn === arn && !one.taken);
      if (task !== undefined) {
        task.taken = true;
        return task;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return undefined;
  }

  #isSigned({ headers, method = '', url = '' }: IncomingMessage, body: string): boolean {
    const pattern =
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/(\d{8})\/([\w-]+)\/states\/aws4_request, SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})$/;
    const [, day = '', region = '', names = '', signature] = pattern.exec(headers.authorization ?? '') ?? [];
    const hash = (text: string) => createHash('sha256').update(text).digest('hex');
    const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
    const lines = names.split(';').map((name) => `${name}:${String(headers[name]).trim()}\n`);
    const canonical = `${method}\n${url}\n\n${lines.join('')}\n${names}\n${hash(body)}`;
    const scope = `${day}/${region}/states/aws4_request`;
    const text = `AWS4-HMAC-SHA256\n${headers['x-amz-date']}\n${scope}\n${hash(canonical)}`;
    const key = hmac(hmac(hmac(hmac(`AWS4${this.secret}`, day), region), 'states'), 'aws4_request');
    return names.includes('x-amz-target') && hmac(key, text).toString('hex') === signature;
  }
}
