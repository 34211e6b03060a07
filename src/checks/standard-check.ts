/** Asks the standard endpoints of a service and compares the answers with the contract. */
import type { Clock } from '../domain/ports/clock.ts';
import type { Endpoint } from '../domain/server-group.ts';
import {
  checkStandardAnswer,
  STANDARD_ENDPOINTS,
  STANDARD_PATHS,
  type StandardEndpoint,
  type StandardExpectation,
} from '../domain/service-standard.ts';
import type { Findings } from './check-result.ts';
import { httpGet } from './http-get.ts';
import { connectionFailure } from './smolder/connection-failure.ts';
import type { HttpResponse } from './smolder/http.ts';

const TIMEOUT_MS = 10_000;
const WAIT_PAUSE_MS = 200;
const STARTING_STATUSES = [502, 503, 504];

export interface StandardCheck {
  readonly endpoint: Endpoint;
  /** The host to ask a router for; absent: the instance is asked directly. */
  readonly host?: string;
  readonly expected: StandardExpectation;
  /** How long an endpoint that a starting service would fail is asked again. */
  readonly waitMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** One finding for each endpoint. */
export async function checkStandardEndpoints(check: StandardCheck): Promise<readonly Findings[]> {
  const deadline = check.clock.monotonic() + check.waitMs;
  const findings: Findings[] = [];
  for (const endpoint of STANDARD_ENDPOINTS) findings.push(await askUntil(endpoint, deadline, check));
  return findings;
}

interface Asked {
  readonly failures: readonly string[];
  readonly mayBeStarting: boolean;
}

async function askUntil(
  endpoint: StandardEndpoint,
  deadline: number,
  check: StandardCheck,
): Promise<Findings> {
  for (;;) {
    const { failures, mayBeStarting } = await ask(endpoint, check);
    if (failures.length === 0) return { passedCount: 1, failures };
    if (!mayBeStarting || check.clock.monotonic() >= deadline) return { passedCount: 0, failures };
    await check.clock.sleep(WAIT_PAUSE_MS, check.signal);
  }
}

async function ask(endpoint: StandardEndpoint, check: StandardCheck): Promise<Asked> {
  const path = STANDARD_PATHS[endpoint];
  const host = check.host === undefined ? {} : { host: check.host };
  let answer: HttpResponse;
  try {
    answer = await httpGet({ endpoint: check.endpoint, path, ...host, timeoutMs: TIMEOUT_MS }, check.signal);
  } catch (thrown) {
    check.signal.throwIfAborted();
    const origin = `http://${check.endpoint.host}:${check.endpoint.port}`;
    const { outcome, mayBeStarting } = connectionFailure(thrown, origin, TIMEOUT_MS);
    return { failures: [`${path}: ${outcome.message}`], mayBeStarting };
  }
  const headers = Object.fromEntries(answer.headers);
  const failures = checkStandardAnswer(endpoint, answer.status, headers, answer.body, check.expected);
  return { failures, mayBeStarting: STARTING_STATUSES.includes(answer.status) };
}
