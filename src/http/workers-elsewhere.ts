/**
 * Jobs of the other servers of the store: a worker reaches one server, or an address that leads to any, and works for
 * all.
 */
import type { Answer, Input } from '../api/contract.ts';
import { API_ROOT } from '../api/routes.ts';
import { serverOfJob } from '../pipeline/workers/protocol.ts';
import type { StreamParts } from './event-stream.ts';
import type { Caller, KilnHono } from './operations.ts';
import { OtherServers } from './other-servers.ts';
import { PASSED_TO } from './passed-to.ts';

type Asked = Input<'workers.take'>['body'];
type Given = NonNullable<Answer<'workers.take'>['job']>;

/** Before the operations: what is said of another server's job is passed on as it is, and answered as that one does. */
export function passJobsOn(app: KilnHono, parts: StreamParts): void {
  const others = new OtherServers(parts);
  app.use(`${API_ROOT}/workers/jobs/:id/*`, async (context, next) => {
    const holder = serverOfJob(context.req.param('id'));
    const isForUs = holder === undefined || holder === parts.servers.id;
    if (isForUs || context.req.header(PASSED_TO) !== undefined) return next();
    return others.pass(holder, context.req.raw, parts.closing);
  });
}

/** One server's jobs. */
interface Jobs {
  take(signal: AbortSignal): Promise<Given | undefined>;
  release(job: Given): Promise<void>;
}

/** The first that any of the living servers offers; what another one offers beside it is handed back. */
export async function takeAnywhere(
  others: OtherServers,
  asked: Asked,
  caller: Caller,
  here: Jobs,
): Promise<Given | undefined> {
  const enough = new AbortController();
  const signal = AbortSignal.any([caller.signal, enough.signal]);
  const first = Promise.withResolvers<Given | undefined>();
  let isTaken = false;
  const takeOf = async (jobs: Jobs): Promise<void> => {
    const job = await jobs.take(signal);
    if (job === undefined) return;
    if (isTaken) return jobs.release(job);
    isTaken = true;
    first.resolve(job);
    enough.abort();
  };
  const asks = (await others.living()).map((id) =>
    // One that is away offers nothing: what it had is gone on with by the others.
    takeOf(jobsOf(others, id, asked, caller)).catch(() => undefined),
  );
  void Promise.all([takeOf(here), ...asks]).then(() => first.resolve(undefined), first.reject);
  return first.promise;
}

function jobsOf(others: OtherServers, id: string, asked: Asked, caller: Caller): Jobs {
  return {
    async take(signal) {
      const body = { ...asked, labels: [...asked.labels] };
      const { waitSeconds } = asked;
      return (await others.call(id, 'workers.take', { body }, { ...caller, signal }, waitSeconds)).job;
    },
    async release({ id: job, lease }) {
      await others.call(id, 'workers.release', { params: { id: job }, body: { lease } }, caller);
    },
  };
}
