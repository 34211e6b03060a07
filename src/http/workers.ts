/** Jobs for workers on other machines: taken, begun, kept, logged, ended. */
import { spawn } from 'node:child_process';
import { KilnError } from '../domain/errors.ts';
import type { Json } from '../pipeline/asl/json.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';
import { present } from './views.ts';

export function serveWorkers(operations: Operations, { workerJobs }: HttpParts): void {
  operations.json(
    'workers.take',
    async ({ body: { worker, labels, waitSeconds } }, { signal }) => {
      const job = await workerJobs.take(worker, labels, waitSeconds * 1_000, signal);
      return job === undefined ? {} : { job: { ...job } };
    },
    // The values of secrets are in it: it is given once, and a worker that did not get it loses it to the next.
    { remember: () => ({}) },
  );
  operations.json('workers.begin', async ({ params, body }) => {
    await workerJobs.begin(params.id, body.lease);
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
  operations.json('workers.end', async ({ params, body: { lease, output, error, cause = '' } }) => {
    // The schema took it out of JSON.
    const end = error === undefined ? { output: (output ?? null) as Json } : { error, cause };
    workerJobs.end(params.id, lease, end);
    return {};
  });
  operations.stream('workers.source', async ({ params, query }, { signal }) => {
    const folder = workerJobs.sourceFolder(params.id, query.lease);
    if (folder === undefined)
      throw new KilnError('not-found', `The job ${params.id} has no folder on this server.`);
    const args = ['--create', '--file=-', `--directory=${folder}`, '.'];
    const tar = spawn('tar', args, { stdio: ['ignore', 'pipe', 'ignore'], signal });
    return new Response(ReadableStream.from(whole(tar)), {
      headers: { 'content-type': 'application/x-tar' },
    });
  });
}

/** Cut off, rather than ended, where tar fails: half a source is none. */
async function* whole(tar: ReturnType<typeof spawn>): AsyncIterable<Uint8Array> {
  const ended = new Promise<number | null>((resolve, reject) => {
    tar.once('error', reject);
    tar.once('close', resolve);
  });
  ended.catch(() => undefined); // Told below.
  yield* tar.stdout ?? [];
  const code = await ended;
  if (code !== 0) throw new KilnError('internal', `The source could not be packed: tar ended with ${code}.`);
}
