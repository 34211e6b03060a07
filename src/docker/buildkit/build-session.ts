/**
 * A session of BuildKit: a connection to the engine on which the parts are turned around. The engine asks, and Kiln
 * serves what a build may have: files, secrets, an SSH agent (github.com/moby/buildkit, session/).
 */
import { performServerHandshake, type ServerHttp2Session } from 'node:http2';
import type { KilnError } from '../../domain/errors.ts';
import { type EngineClient, isRefusal } from '../engine-client.ts';
import { type Methods, serveCalls } from './calls.ts';
import { numberField } from './protobuf.ts';

const SERVING = 1;
/** The engine asks every few seconds, and gives the session up when it is not told so. */
const HEALTH: Methods = {
  '/grpc.health.v1.Health/Check': (call) => call.send(numberField(1, SERVING)),
};

export interface SessionRequest {
  /** Unique; the build names it. */
  readonly id: string;
  /** The engine keeps files that it was sent under this key, and asks only for what has changed of them. */
  readonly sharedKey: string;
  readonly methods: Methods;
}

export class BuildSession {
  readonly id: string;
  readonly #session: ServerHttp2Session;
  #failure: KilnError | undefined;

  private constructor(id: string, session: ServerHttp2Session) {
    this.id = id;
    this.#session = session;
  }

  /** Undefined: the engine opens none, so it has no BuildKit. */
  static async open(
    client: EngineClient,
    { id, sharedKey, methods }: SessionRequest,
    signal: AbortSignal,
  ): Promise<BuildSession | undefined> {
    const served = { ...HEALTH, ...methods };
    const headers = {
      'x-docker-expose-session-uuid': id,
      'x-docker-expose-session-name': 'kiln',
      'x-docker-expose-session-sharedkey': sharedKey,
      'x-docker-expose-session-grpc-method': Object.keys(served),
    };
    try {
      const socket = await client.hijack({ path: '/session', protocol: 'h2c', headers, signal });
      const http2 = performServerHandshake(socket);
      const session = new BuildSession(id, http2);
      // What breaks the connection breaks the build, which says so.
      http2.on('error', () => http2.destroy());
      serveCalls(http2, served, (error) => {
        session.#failure ??= error;
      });
      return session;
    } catch (error) {
      if ([400, 404, 405, 500, 501].some((status) => isRefusal(error, status))) return undefined;
      throw error;
    }
  }

  /** What Kiln itself failed at while it served the build: the reason behind what the engine says. */
  get failure(): KilnError | undefined {
    return this.#failure;
  }

  close(): void {
    this.#session.destroy();
  }
}
