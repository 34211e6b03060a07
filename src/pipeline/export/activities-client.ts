/**
 * What a worker of Activities asks of AWS Step Functions, as docs.aws.amazon.com/step-functions/latest/apireference
 * lays it down: JSON 1.0, the operation in `X-Amz-Target`, signature version 4.
 */
import { z } from 'zod';
import { type AmazonCredentials, signedHeaders } from '../../amazon/signature.ts';
import { KilnError } from '../../domain/errors.ts';
import type { Json } from '../asl/json.ts';

export interface ActivitiesParts {
  /** Where the service answers, such as `https://states.eu-west-2.amazonaws.com`. */
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: AmazonCredentials;
  readonly fetch: typeof fetch;
  readonly now: () => number;
}

export interface ActivityTask {
  readonly taskToken: string;
  readonly input: Json;
}

/** The service holds the call for 60 seconds when there is nothing to do; the documentation asks for at least 65. */
const POLL_LIMIT_MS = 70_000;
const CALL_LIMIT_MS = 30_000;
/** Longest texts that the service takes. */
const ERROR_LENGTH = 256;
const CAUSE_LENGTH = 32_768;

const taskShape = z.object({ taskToken: z.string().nullish(), input: z.string().nullish() });
const failureShape = z.object({
  __type: z.string(),
  message: z.string().optional(),
  Message: z.string().optional(),
});

export class ActivitiesClient {
  readonly #parts: ActivitiesParts;

  constructor(parts: ActivitiesParts) {
    this.#parts = parts;
  }

  /** Undefined: there was nothing to do for a minute. */
  async getTask(
    activityArn: string,
    workerName: string,
    signal: AbortSignal,
  ): Promise<ActivityTask | undefined> {
    const answer = await this.#call('GetActivityTask', { activityArn, workerName }, POLL_LIMIT_MS, signal);
    const { taskToken, input } = taskShape.parse(answer);
    if (!taskToken) return undefined;
    const value: Json = JSON.parse(input ?? '{}');
    return { taskToken, input: value };
  }

  async succeed(taskToken: string, output: Json, signal: AbortSignal): Promise<void> {
    await this.#call('SendTaskSuccess', { taskToken, output: JSON.stringify(output) }, CALL_LIMIT_MS, signal);
  }

  async fail(taskToken: string, error: string, cause: string, signal: AbortSignal): Promise<void> {
    const body = { taskToken, error: error.slice(0, ERROR_LENGTH), cause: cause.slice(0, CAUSE_LENGTH) };
    await this.#call('SendTaskFailure', body, CALL_LIMIT_MS, signal);
  }

  /** False: nobody waits for the task any more. */
  async beat(taskToken: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#call('SendTaskHeartbeat', { taskToken }, CALL_LIMIT_MS, signal);
      return true;
    } catch (error) {
      if (isOver(error)) return false;
      throw error;
    }
  }

  async #call(operation: string, given: object, limitMs: number, signal: AbortSignal): Promise<unknown> {
    const { endpoint, region, credentials, fetch, now } = this.#parts;
    const url = new URL('/', endpoint);
    const body = JSON.stringify(given);
    const headers = {
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': `AWSStepFunctions.${operation}`,
    };
    const request = { url, body, region, service: 'states', atMs: now(), headers };
    const limit = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
    const sent = { method: 'POST', headers: signedHeaders(request, credentials), body, signal: limit };
    const answer = await fetch(url, sent).catch((cause: unknown) => {
      signal.throwIfAborted();
      throw new KilnError('server.unreachable', `AWS Step Functions does not answer at ${url.origin}.`, {
        cause,
        next: 'Check the network and the endpoint.',
        retryable: true,
      });
    });
    const text = await answer.text();
    if (answer.ok) return text === '' ? {} : JSON.parse(text);
    throw refusal(operation, answer.status, text);
  }
}

/** The task has timed out, was ended, or is none of this service. */
export function isOver(error: unknown): boolean {
  return (
    error instanceof KilnError &&
    ['TaskTimedOut', 'TaskDoesNotExist', 'InvalidToken'].includes(String(error.details.type))
  );
}

function refusal(operation: string, status: number, text: string): KilnError {
  const read = failureShape.safeParse(parsed(text));
  const type = read.success ? (read.data.__type.split('#').at(-1) ?? '') : '';
  const said = read.success ? (read.data.message ?? read.data.Message ?? '') : `HTTP status ${status}`;
  return new KilnError('target.rejected', `AWS Step Functions refused ${operation}: ${type} ${said}`.trim(), {
    next: 'Check the region, the account, and that the credentials may do this.',
    details: { status, type },
    retryable: status >= 500 || type === 'ThrottlingException',
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not of the service itself, such as a proxy's page: only the status counts.
    return undefined;
  }
}
