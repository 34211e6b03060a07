/**
 * The standard endpoints: what every service with `standard: true` answers, in one shape for all languages.
 * docs/service-standard.md is the contract for people; this is the same for machines. In the spirit of Beamly's
 * SE4 (CC0): its paths and element names are kept where they say what they mean.
 */

export const STANDARD_PATHS = {
  status: '/service/status',
  healthcheck: '/service/healthcheck',
  gtg: '/service/healthcheck/gtg',
  config: '/service/config',
} as const;

export type StandardEndpoint = keyof typeof STANDARD_PATHS;
export const STANDARD_ENDPOINTS: readonly StandardEndpoint[] = ['status', 'healthcheck', 'gtg', 'config'];

/** `/service/status` */
interface StandardStatus {
  readonly component: string;
  readonly version: string;
  readonly environment: string;
  readonly release: string;
  readonly instance: string;
  readonly process: string;
  readonly machine_name: string;
  /** Language and its version, such as `node 24.4.0`. */
  readonly runtime: string;
  readonly up_since: string;
  readonly up_duration_millis: number;
  readonly current_time: string;
  readonly git_sha1?: string;
  readonly runbook_uri?: string;
}

type StandardTestResult = 'not_run' | 'running' | 'passed' | 'failed';

/** `/service/healthcheck`: the last known results; asking never runs the tests. */
interface StandardHealthcheck {
  readonly report_as_of: string;
  readonly report_duration_millis: number;
  readonly tests: readonly {
    readonly test_name: string;
    readonly test_result: StandardTestResult;
    readonly duration_millis: number;
    readonly tested_at: string;
    readonly message?: string;
  }[];
}

/** `/service/config`: what it runs with. A secret's key is under `hidden`, its value nowhere. */
interface StandardConfig {
  readonly values: Readonly<Record<string, string>>;
  readonly hidden: readonly string[];
}

/** What is known of the instance that was asked. */
export interface StandardExpectation {
  readonly component?: string;
  readonly version?: string;
}

interface Field {
  readonly kind: 'text' | 'time' | 'amount' | 'result';
  readonly required: boolean;
}

const text: Field = { kind: 'text', required: true };
const time: Field = { kind: 'time', required: true };
const amount: Field = { kind: 'amount', required: true };

const STATUS_FIELDS: Readonly<Record<keyof StandardStatus, Field>> = {
  component: text,
  version: text,
  environment: text,
  release: text,
  instance: text,
  process: text,
  machine_name: text,
  runtime: text,
  up_since: time,
  up_duration_millis: amount,
  current_time: time,
  git_sha1: { kind: 'text', required: false },
  runbook_uri: { kind: 'text', required: false },
};

const HEALTHCHECK_FIELDS = { report_as_of: time, report_duration_millis: amount } as const;

const TEST_FIELDS: Readonly<Record<keyof StandardHealthcheck['tests'][number], Field>> = {
  test_name: text,
  test_result: { kind: 'result', required: true },
  duration_millis: amount,
  tested_at: time,
  message: { kind: 'text', required: false },
};

const RESULTS: readonly string[] = ['not_run', 'running', 'passed', 'failed'] satisfies StandardTestResult[];
/** RFC 3339, in UTC. */
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z$/;
const SECRET_KEY = /passw(?:or)?d|passphrase|secret|token|credential|private_?key|api_?key/i;
const URL_WITH_PASSWORD = /:\/\/[^/\s:@]*:[^/\s@]+@/;

/**
 * What is wrong with an answer to `GET` of an endpoint, one sentence each; empty: it fits. Header names are
 * compared without case. No sentence repeats a value of the configuration.
 */
export function checkStandardAnswer(
  endpoint: StandardEndpoint,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
  expected: StandardExpectation = {},
): readonly string[] {
  const said = (problem: string) => `${STANDARD_PATHS[endpoint]}: ${problem}`;
  const lowered = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  if (status !== 200) return [said(`answered ${status}, expected 200`)];
  const headerProblems = checkHeaders(endpoint, lowered);
  if (endpoint === 'gtg') return [...headerProblems, ...checkGoodToGo(body)].map(said);
  const answer = parseObject(body);
  if (answer === undefined) return [...headerProblems, 'the body is not a JSON object'].map(said);
  return [...headerProblems, ...checkBody(endpoint, answer, expected)].map(said);
}

function checkHeaders(endpoint: StandardEndpoint, headers: ReadonlyMap<string, string>): readonly string[] {
  const type = endpoint === 'gtg' ? 'text/plain' : 'application/json';
  const problems: string[] = [];
  if (!(headers.get('content-type') ?? '').toLowerCase().startsWith(type)) {
    problems.push(`Content-Type is "${headers.get('content-type') ?? ''}", expected ${type}`);
  }
  if (!/no-store|no-cache/i.test(headers.get('cache-control') ?? '')) {
    problems.push('Cache-Control does not say no-store, so an old answer may be shown');
  }
  return problems;
}

function checkGoodToGo(body: string): readonly string[] {
  return /^"?OK"?\n?$/.test(body) ? [] : ['the body is not OK'];
}

function checkBody(
  endpoint: Exclude<StandardEndpoint, 'gtg'>,
  answer: Readonly<Record<string, unknown>>,
  expected: StandardExpectation,
): readonly string[] {
  switch (endpoint) {
    case 'status':
      return [...checkFields(answer, STATUS_FIELDS, ''), ...checkIdentity(answer, expected)];
    case 'healthcheck':
      return [...checkFields(answer, HEALTHCHECK_FIELDS, ''), ...checkTests(answer.tests)];
    case 'config':
      return checkConfig(answer);
  }
}

function checkIdentity(
  answer: Readonly<Record<string, unknown>>,
  expected: StandardExpectation,
): readonly string[] {
  return (['component', 'version'] as const)
    .filter((key) => expected[key] !== undefined && answer[key] !== expected[key])
    .map((key) => `${key} is ${JSON.stringify(answer[key])}, expected "${expected[key]}"`);
}

function checkTests(tests: unknown): readonly string[] {
  if (!Array.isArray(tests)) return ['tests is not a list'];
  return tests.flatMap((test: unknown, index) => {
    const where = `tests[${index}]`;
    return isObject(test) ? checkFields(test, TEST_FIELDS, `${where}.`) : [`${where} is not an object`];
  });
}

function checkConfig(answer: Readonly<Record<string, unknown>>): readonly string[] {
  const { values, hidden }: Partial<Record<keyof StandardConfig, unknown>> = answer;
  const problems: string[] = [];
  const isHiddenList = Array.isArray(hidden) && hidden.every((key) => typeof key === 'string');
  if (!isHiddenList) problems.push('hidden is not a list of keys');
  if (!isObject(values)) return [...problems, 'values is not an object'];
  for (const [key, value] of Object.entries(values)) {
    if (typeof value !== 'string') problems.push(`values.${key} is not a text`);
    else if (SECRET_KEY.test(key)) problems.push(`values.${key} looks like a secret: name it under hidden`);
    else if (URL_WITH_PASSWORD.test(value))
      problems.push(`values.${key} holds a password: name it under hidden`);
    if (isHiddenList && hidden.includes(key)) problems.push(`values.${key} is shown although it is hidden`);
  }
  return problems;
}

function checkFields(
  answer: Readonly<Record<string, unknown>>,
  fields: Readonly<Record<string, Field>>,
  where: string,
): readonly string[] {
  return Object.entries(fields).flatMap(([name, field]) => {
    const value = answer[name];
    if (value === undefined) return field.required ? [`${where}${name} is missing`] : [];
    const wanted = fault(value, field.kind);
    return wanted === undefined ? [] : [`${where}${name} is ${JSON.stringify(value)}, expected ${wanted}`];
  });
}

function fault(value: unknown, kind: Field['kind']): string | undefined {
  switch (kind) {
    case 'text':
      return typeof value === 'string' && value !== '' ? undefined : 'a text';
    case 'time': {
      const fits = typeof value === 'string' && TIME.test(value) && !Number.isNaN(Date.parse(value));
      return fits ? undefined : 'a time such as 2026-01-31T12:00:00.000Z';
    }
    case 'amount':
      return typeof value === 'number' && Number.isFinite(value) && value >= 0
        ? undefined
        : 'a number, 0 or more';
    case 'result':
      return typeof value === 'string' && RESULTS.includes(value)
        ? undefined
        : `one of ${RESULTS.join(', ')}`;
  }
}

function parseObject(body: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return isObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
