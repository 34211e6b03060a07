/** Jobs for workers on other machines: taken, begun, kept, logged, ended, and what travels with them. */
import { assertProtocol } from '../pipeline/workers/protocol.ts';
import type { Operations } from './operations.ts';
import { OtherServers } from './other-servers.ts';
import type { HttpParts } from './parts.ts';
import { present } from './views.ts';
import { takeAnywhere } from './workers-elsewhere.ts';

export function serveWorkers(operations: Operations, parts: HttpParts): void {
  const { workerJobs } = parts;
  const others = new OtherServers(parts);
  operations.json(
    'workers.take',
    async ({ body }, caller) => {
      const { worker, protocol, labels, waitSeconds } = body;
      assertProtocol(protocol);
      const here = async (waitMs: number, signal: AbortSignal) => {
        const given = await workerJobs.take(worker, labels, waitMs, signal);
        return given && { ...given };
      };
      const waitHere = (signal: AbortSignal) => here(waitSeconds * 1_000, signal);
      const release = async ({ id, lease }: Record<'id' | 'lease', string>) => workerJobs.release(id, lease);
      const job = caller.sent.isPassedOn
        ? await waitHere(caller.signal)
        : ((await here(0, caller.signal)) ??
          (await takeAnywhere(others, body, caller, { take: waitHere, release })));
      return job === undefined ? {} : { job: { ...job } };
    },
    // The values of secrets are in it: it is given once, and a worker that did not get it loses it to the next.
    { remember: () => ({}) },
  );
  operations.json('workers.begin', async ({ params, body }) => {
    await workerJobs.begin(params.id, body.lease);
    return {};
  });
  operations.json('workers.release', async ({ params, body }) => {
    workerJobs.release(params.id, body.lease);
    return {};
  });
  operations.json('workers.beat', async ({ params, body }) => {
    workerJobs.beat(params.id, body.lease);
    return {};
  });
  operations.json('workers.log', async ({ params, body: { lease, group, base64 } }) => {
    const bytes = base64 === undefined ? undefined : Buffer.from(base64, 'base64');
    await workerJobs.log(params.id, lease, present({ group, bytes }));
    return {};
  });
  operations.json('workers.end', async ({ params, body: { lease, ...end } }) => {
    workerJobs.end(params.id, lease, 'output' in end ? { output: present(end.output) } : end);
    return {};
  });
  serveFiles(operations, workerJobs);
}

function serveFiles(operations: Operations, workerJobs: HttpParts['workerJobs']): void {
  operations.json('workers.source', async ({ params, body }) => workerJobs.source(params.id, body.lease));
  operations.stream('workers.fetch', async ({ params, query: { lease, offset } }, { signal }) => {
    const bytes = await workerJobs.fetch(params.id, lease, { digest: params.digest, offset }, signal);
    return new Response(ReadableStream.from(bytes), {
      headers: { 'content-type': 'application/octet-stream' },
    });
  });
  operations.bytes('workers.send', async ({ params, query: { lease, offset } }, bytes) => {
    await workerJobs.send(params.id, lease, { digest: params.digest, offset, bytes });
    return {};
  });
  operations.json('workers.keep', async ({ params, body: { lease, sizeBytes } }) => {
    const artifact = { digest: params.digest, sizeBytes };
    await workerJobs.keep(params.id, lease, artifact);
    return artifact;
  });
}
