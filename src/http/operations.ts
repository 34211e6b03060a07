/**
 * From a request to an answer, the same way for every operation: role, body, validation, environment, key,
 * handler. Handlers get what is valid and return what the contract says; they know nothing of HTTP.
 */
import type { Context, Hono } from 'hono';
import { type Answer, CONTRACT, type Input, type OperationSchemas } from '../api/contract.ts';
import type { RouteInfo } from '../api/route-info.ts';
import {
  API_ROOT,
  type BeginningOperation,
  type BytesOperation,
  type OperationAnswering,
  type OperationName,
  routeOf,
} from '../api/routes.ts';
import type { Actor } from '../domain/audit.ts';
import type { CallAttempt } from '../domain/change.ts';
import { KilnError } from '../domain/errors.ts';
import { type EnvironmentName, environmentName, isEnvironmentName } from '../domain/ids.ts';
import { jsonAnswer } from './answers.ts';
import { assertEnvironment, assertRole, bearerSecret } from './auth.ts';
import type { StreamParts } from './event-stream.ts';
import { onceByKey } from './idempotency.ts';
import { isPassedTo, PASSED_TO } from './passed-to.ts';
import { preferredWaitMs } from './prefer.ts';
import { readBody, readBytes } from './read-body.ts';
import { validated } from './validate.ts';

/** What the middleware has found out before an operation begins. */
export interface Variables {
  readonly requestId: string;
  readonly actor: Actor;
  operation: string;
}

export type KilnHono = Hono<{ Variables: Variables }>;

export interface Caller {
  readonly actor: Actor;
  readonly signal: AbortSignal;
  readonly lastEventId?: string;
  /** What it sent: for asking another server on its behalf, and for nothing else. */
  readonly sent: {
    readonly token: string;
    /** With its query. */
    readonly path: string;
    /** Another server asks, for its own caller: it is answered from what is here, and nobody is asked again. */
    readonly isPassedOn: boolean;
  };
  /** Present when the call has an Idempotency-Key: goes into every change that the call itself makes. */
  readonly attempt?: CallAttempt;
  /** Fails with `auth.denied`; for operations whose environment only the handler can find. */
  readonly assertMayChange: (environment: EnvironmentName) => void;
}

export type Handler<Name extends OperationName> = (
  input: Input<Name>,
  caller: Caller,
) => Promise<Answer<Name>>;

type JsonOperation = Exclude<OperationAnswering<'json'>, BeginningOperation>;

/**
 * The answer to an earlier attempt at the call, which made this and ended before it was answered; undefined, as
 * without it: the call is carried out anew. Needed where doing it twice would be more than doing it once.
 */
type Recover<Name extends OperationName> = (
  made: string,
  input: Input<Name>,
  caller: Caller,
) => Promise<Answer<Name> | undefined>;

export interface Options<Name extends OperationName> {
  readonly recover?: Recover<Name>;
  /** What is kept for the same key: without what must not be stored. */
  readonly remember?: (answer: Answer<Name>) => Answer<Name>;
}

/** An operation that begins work: what it began is remembered under its key at once, and then waited for. */
export interface Beginning<Name extends BeginningOperation> {
  readonly begin: Handler<Name>;
  readonly recover?: Recover<Name>;
  readonly ended: (answer: Answer<Name>) => boolean;
  readonly wait: (answer: Answer<Name>, timeoutMs: number, signal: AbortSignal) => Promise<Answer<Name>>;
}

/** At once: what is larger comes in pieces. */
const BYTES_LIMIT = 8 * 1024 * 1024;

export class Operations {
  readonly #app: KilnHono;
  readonly #parts: StreamParts;
  readonly #methods = new Map<string, string[]>();

  constructor(app: KilnHono, parts: StreamParts) {
    this.#app = app;
    this.#parts = parts;
  }

  json<Name extends JsonOperation>(name: Name, handle: Handler<Name>, options: Options<Name> = {}): void {
    this.#on(name, async (context, input, text, caller) => {
      if (routeOf(name).method === 'get') return jsonAnswer(200, await handle(input, caller));
      const { recover, remember } = options;
      const once = await onceByKey(this.#parts, context, caller.actor, text, {
        perform: async (attempt) => ({ status: 200, body: await handle(input, attempted(caller, attempt)) }),
        recover: async (made) => {
          const body = await recover?.(made, input, caller);
          return body && { status: 200, body };
        },
        ...(remember === undefined ? {} : { remember }),
      });
      return once.answer;
    });
  }

  begins<Name extends BeginningOperation>(name: Name, operation: Beginning<Name>): void {
    this.#on(name, async (context, input: Input<Name>, text, caller) => {
      const waitMs = preferredWaitMs(context.req.header('prefer'));
      const withStatus = (body: Answer<Name>) => ({ status: operation.ended(body) ? 200 : 202, body });
      const begun = await onceByKey(this.#parts, context, caller.actor, text, {
        perform: async (attempt) => withStatus(await operation.begin(input, attempted(caller, attempt))),
        recover: async (made) => {
          const body = await operation.recover?.(made, input, caller);
          return body && withStatus(body);
        },
      });
      if (begun.fresh === undefined || waitMs === 0 || operation.ended(begun.fresh)) return begun.answer;
      const later = await operation.wait(begun.fresh, waitMs, caller.signal);
      return jsonAnswer(operation.ended(later) ? 200 : 202, later, {
        'preference-applied': `wait=${waitMs / 1000}`,
      });
    });
  }

  /** Takes no key: sent twice, the bytes go to the same place. */
  bytes<Name extends BytesOperation>(
    name: Name,
    handle: (input: Input<Name>, bytes: Uint8Array, caller: Caller) => Promise<Answer<Name>>,
  ): void {
    this.#on(name, async (context, input, _text, caller) =>
      jsonAnswer(200, await handle(input, await readBytes(context.req.raw, BYTES_LIMIT), caller)),
    );
  }

  stream<Name extends OperationAnswering<'events' | 'lines' | 'text'>>(
    name: Name,
    handle: (input: Input<Name>, caller: Caller) => Promise<Response>,
  ): void {
    this.#on(name, async (_context, input, _text, caller) => await handle(input, caller));
  }

  /** Once all are registered: a known path with another method is `input.method`, not `not-found`. */
  refuseOtherMethods(): void {
    for (const [path, methods] of this.#methods) {
      this.#app.all(path, (context) => {
        const allow = methods.map((method) => method.toUpperCase()).join(', ');
        throw new KilnError('input.method', `${context.req.method} is not possible here.`, {
          next: `Use ${allow}.`,
          details: { allow },
        });
      });
    }
  }

  #on<Name extends OperationName>(
    name: Name,
    respond: (
      context: Context<{ Variables: Variables }>,
      input: Input<Name>,
      text: string,
      caller: Caller,
    ) => Promise<Response>,
  ): void {
    const route = routeOf(name);
    const path = API_ROOT + route.path.replace(/\{(\w+)\}/g, ':$1');
    this.#methods.set(path, [...(this.#methods.get(path) ?? []), route.method]);
    this.#app.on(route.method.toUpperCase(), path, async (context) => {
      context.set('operation', name);
      const actor = context.get('actor');
      assertRole(actor, route.role);
      const text = route.takes === 'bytes' ? '' : await readBody(context.req.raw);
      const input = inputOf(CONTRACT[name], context, route, text);
      if (route.method !== 'get') assertPlace(actor, input);
      // The contract's own schemas made it, so it has the contract's type.
      return await respond(context, input as Input<Name>, text, callerOf(context, actor, this.#parts));
    });
  }
}

interface LooseInput {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

function inputOf(
  schemas: OperationSchemas,
  context: Context<{ Variables: Variables }>,
  route: RouteInfo,
  text: string,
): LooseInput {
  const { params, query, body } = schemas;
  return {
    params: params && validated(params, context.req.param(), 'path'),
    query: query === undefined ? refuseQuery(context) : validated(query, singleValues(context), 'query'),
    body: route.method === 'get' ? undefined : bodyOf(body, context.req.header('content-type'), text),
  };
}

function bodyOf(schema: OperationSchemas['body'], type: string | undefined, text: string): unknown {
  if (schema === undefined) {
    if (text === '' || text === '{}') return undefined;
    throw new KilnError('input.invalid', 'This call takes no body.', { next: 'Leave the body out.' });
  }
  if (!/^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(type ?? '')) {
    throw new KilnError('input.media-type', `A body of type "${type ?? 'none'}" cannot be read here.`, {
      next: 'Send JSON with `Content-Type: application/json`.',
    });
  }
  return validated(schema, parsed(text), 'body');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KilnError('input.invalid', 'The body is not JSON.', { cause, next: 'Send one JSON object.' });
  }
}

function singleValues(context: Context): Readonly<Record<string, string>> {
  const values: Record<string, string> = {};
  for (const [key, all] of Object.entries(context.req.queries())) {
    const [first, ...rest] = all;
    if (rest.length > 0) {
      throw new KilnError('input.invalid', `"${key.slice(0, 80)}" is given more than once.`, {
        next: 'Give each parameter once.',
      });
    }
    if (first !== undefined) values[key] = first;
  }
  return values;
}

function refuseQuery(context: Context): undefined {
  const [key] = Object.keys(context.req.queries());
  if (key === undefined) return undefined;
  throw new KilnError('input.invalid', `"${key.slice(0, 80)}" is not known here: this call takes no query.`, {
    next: 'Leave the query out.',
  });
}

/** A write that names its environment, in its path or its body, is held to the actor's environments. */
function assertPlace(actor: Actor, input: LooseInput): void {
  const place = environmentIn(input.body) ?? environmentIn(input.params);
  if (place !== undefined) assertEnvironment(actor, place);
}

function environmentIn(part: unknown): EnvironmentName | undefined {
  if (typeof part !== 'object' || part === null) return undefined;
  if ('environment' in part && typeof part.environment === 'string' && isEnvironmentName(part.environment))
    return environmentName(part.environment);
  if ('level' in part && 'region' in part) return environmentName(`${part.level}/${part.region}`);
  return undefined;
}

function attempted(caller: Caller, attempt: CallAttempt | undefined): Caller {
  return attempt === undefined ? caller : { ...caller, attempt };
}

function callerOf(
  context: Context<{ Variables: Variables }>,
  actor: Actor,
  { closing, servers }: Pick<StreamParts, 'closing' | 'servers'>,
): Caller {
  const lastEventId = context.req.header('last-event-id');
  return {
    actor,
    signal: AbortSignal.any([context.req.raw.signal, closing]),
    ...(lastEventId === undefined ? {} : { lastEventId }),
    sent: {
      token: bearerSecret(context.req.header('authorization')) ?? '',
      path: pathAndQuery(context.req.url),
      isPassedOn: isPassedTo(servers.id, context.req.header(PASSED_TO)),
    },
    assertMayChange: (environment) => assertEnvironment(actor, environment),
  };
}

function pathAndQuery(url: string): string {
  const { pathname, search } = new URL(url);
  return pathname + search;
}
