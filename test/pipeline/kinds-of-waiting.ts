/** A pipeline for each kind of waiting that an execution may be in for long, by name. */

interface Kind {
  readonly states: object;
  /** Beside the states. */
  readonly head?: object;
  /** Of its kiln.yaml. */
  readonly build?: string;
  /** What `why` says of it, and by which limit it would end. */
  readonly says: RegExp;
  readonly limit: RegExp;
}

const YEARS = 99_999_999;
const OWN_LIMIT = /as States.Timeout: .*pipelines\.limitSeconds\./;
const OF_EXECUTION = /the execution ends: .*pipelines\.longestDays/;

/** In the command lines of what must be gone. */
export const STUBBORN_SECONDS = 61_701;
export const BUILD_SECONDS = 61_702;

/** `url` is of a server that never answers what begins with `/hang`. */
export function kindsOfWaiting(url: string): Readonly<Record<string, Kind>> {
  const alone = (Resource: string, Parameters: object, more: object = {}) => ({
    Do: { Type: 'Task', Resource, Parameters, ...more, End: true },
  });
  const from = { 'directory.$': '$.trigger.source.location' };
  const wait = { Do: { Type: 'Wait', Seconds: YEARS, End: true } };
  // What ignores the polite signal, and what it has begun does, too.
  const stubborn = `trap '' TERM; (trap '' TERM; sleep ${STUBBORN_SECONDS}) & echo ready; sleep ${STUBBORN_SECONDS}`;
  const bucket = { Bucket: 'hang-bucket', Key: 'items.json' };
  return {
    'a-person': { states: alone('approve', { message: 'go on?' }), says: /to approve: go on\?/, limit: /^$/ },
    years: { states: wait, says: /waits until/, limit: OF_EXECUTION },
    'its-turn': {
      head: { Concurrency: { group: 'turns', onOpen: 'queue' } },
      states: wait,
      says: /of the group "turns"/,
      limit: OF_EXECUTION,
    },
    'another-try': {
      states: alone(
        'http',
        { url: `${url}/missing` },
        { Retry: [{ ErrorEquals: ['States.ALL'], IntervalSeconds: 3_600 }] },
      ),
      says: /is tried again/,
      limit: /^$/,
    },
    'a-token': {
      states: alone('http.waitForTaskToken', { url }),
      says: /token has not come back/,
      limit: OWN_LIMIT,
    },
    'a-pause': {
      states: alone('deploy', { component: 'shop', environment: 'live/paused' }),
      says: /live\/paused was paused/,
      limit: OF_EXECUTION,
    },
    'an-answer': {
      states: alone('http', { url: `${url}/hang`, timeoutSeconds: 3_600 }),
      says: /http is at work/,
      limit: OWN_LIMIT,
    },
    'a-webhook': {
      states: alone('notify', { webhook: `${url}/hang-notify`, message: 'hello' }),
      says: /notify is at work/,
      limit: OWN_LIMIT,
    },
    s3: {
      states: {
        Do: {
          Type: 'Map',
          ItemReader: { Resource: 'arn:aws:states:::s3:getObject', Parameters: bucket },
          ItemProcessor: {
            ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' },
            StartAt: 'One',
            States: { One: { Type: 'Pass', End: true } },
          },
          End: true,
        },
      },
      says: /items are read/,
      limit: /that fails/,
    },
    'a-worker': {
      states: alone('cmd', { commands: 'true', runsOn: 'nobody-has-this' }),
      says: /waits for a worker/,
      limit: OWN_LIMIT,
    },
    'a-command': {
      states: alone('cmd', { commands: stubborn }),
      says: /cmd is at work: .*ready/,
      limit: OWN_LIMIT,
    },
    'a-build': {
      states: alone('bake', from),
      build: `sleep ${BUILD_SECONDS}`,
      says: /bake is at work/,
      limit: OWN_LIMIT,
    },
    'another-pipeline': {
      states: alone('pipeline', { ...from, file: 'inner.json' }),
      says: /pipeline is at work/,
      limit: OF_EXECUTION,
    },
  };
}
