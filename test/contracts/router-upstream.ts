/** Instances to route to: real HTTP servers that say who they are, and misbehave when asked to. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import type { InstanceId } from '../../src/domain/ids.ts';
import type { Endpoint } from '../../src/domain/server-group.ts';

export class Upstream {
  readonly instance: InstanceId;
  isHealthy = true;
  /** Where health is asked; elsewhere there is no such page. */
  healthPath = '/health';
  /** Requests that were answered, health checks aside. */
  served = 0;
  checks = 0;
  readonly seen: string[] = [];
  readonly #server: http.Server;
  readonly #sockets = new Set<Socket>();
  readonly #hanging = new Set<http.ServerResponse>();

  private constructor(name: string) {
    this.instance = name as InstanceId;
    this.#server = http.createServer((request, response) => this.#answer(request, response));
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => socket.destroy());
    });
    this.#server.on('checkContinue', (request, response) => {
      this.seen.push('continue asked');
      response.writeContinue();
      this.#answer(request, response);
    });
    const sockets = new WebSocketServer({ server: this.#server });
    sockets.on('connection', (socket) => {
      socket.on('message', (message) => socket.send(`${name}: ${String(message)}`));
    });
  }

  static async start(name: string, port = 0): Promise<Upstream> {
    const upstream = new Upstream(name);
    upstream.#server.listen(port, '127.0.0.1');
    await once(upstream.#server, 'listening');
    return upstream;
  }

  get endpoint(): Endpoint {
    return { host: '127.0.0.1', port: (this.#server.address() as AddressInfo).port };
  }

  /** Requests that wait on `/hang`. */
  get hanging(): number {
    return this.#hanging.size;
  }

  release(): void {
    for (const response of this.#hanging) response.end(`${this.instance} at last`);
    this.#hanging.clear();
  }

  /** As if killed: nobody listens, and what was open is reset. */
  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://instance');
    if (request.headers['user-agent'] === 'kiln-health') {
      this.checks++;
      const isThere = url.pathname === this.healthPath;
      response.writeHead(isThere ? (this.isHealthy ? 200 : 503) : 404).end();
      return;
    }
    this.served++;
    this.seen.push(`${request.method} ${request.url}`);
    switch (url.pathname) {
      case '/hang':
        this.#hanging.add(response);
        response.on('close', () => this.#hanging.delete(response));
        return;
      case '/headers':
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify(request.headers));
        return;
      case '/raw-headers':
        response.end(JSON.stringify(request.rawHeaders));
        return;
      case '/reset':
        request.socket.destroy();
        return;
      case '/half':
        response.writeHead(200, { 'content-length': '1000' });
        response.write('half of it', () => request.socket.destroy());
        return;
      case '/upload':
        this.#hash(request, response);
        return;
      case '/download':
        sendBytes(request, response, Number(url.searchParams.get('bytes')), url.searchParams.has('length'));
        return;
      case '/status':
        response.writeHead(Number(url.searchParams.get('code')), { 'x-from': this.instance });
        response.end();
        return;
      case '/impostor':
        response.setHeader('x-kiln-instance', 'somebody-else');
        response.end('who?');
        return;
      default:
        response.end(this.instance);
    }
  }

  #hash(request: http.IncomingMessage, response: http.ServerResponse): void {
    const hash = createHash('sha256');
    let sizeBytes = 0;
    request.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      sizeBytes += chunk.length;
    });
    request.on('end', () => {
      const trailer = request.trailers['x-checked'];
      response.end(JSON.stringify({ sha256: hash.digest('hex'), sizeBytes, trailer }));
    });
  }
}

/** The same bytes for the same size, whoever makes them. */
export function patternBytes(sizeBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(sizeBytes);
  for (let index = 0; index < sizeBytes; index++) bytes[index] = (index * 31 + (index >> 8)) & 0xff;
  return bytes;
}

function sendBytes(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  sizeBytes: number,
  withLength: boolean,
): void {
  const bytes = patternBytes(sizeBytes);
  if (withLength) {
    response.writeHead(200, { 'content-length': sizeBytes });
    response.end(bytes);
    return;
  }
  const withTrailer = request.httpVersion === '1.1';
  response.writeHead(200, withTrailer ? { trailer: 'x-checked' } : {});
  for (let at = 0; at < sizeBytes; at += 50_000) response.write(bytes.subarray(at, at + 50_000));
  if (withTrailer) response.addTrailers({ 'x-checked': 'yes' });
  response.end();
}
