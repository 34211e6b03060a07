/** The server, as a worker asks it. */
import type { Client } from '../api/client.ts';
import { type Offer, WORKER_PROTOCOL, type WorkerServer } from '../pipeline/workers/protocol.ts';

/** A server packs a source, or fetches an artifact from its bucket, before it answers. */
const FILES_WAIT_SECONDS = 600;

export function workerServer(client: Client, worker: string, labels: readonly string[]): WorkerServer {
  const of = ({ id, lease }: Offer) => ({ params: { id }, body: { lease } });
  return {
    async take(waitSeconds, signal) {
      const body = { worker, protocol: WORKER_PROTOCOL, labels: [...labels], waitSeconds };
      const { job } = await client.call('workers.take', { body }, { signal, waitSeconds });
      // It speaks this protocol: the schema is looser than the type.
      return job as Offer | undefined;
    },
    begin: async (offer, signal) => void (await client.call('workers.begin', of(offer), { signal })),
    release: async (offer, signal) => void (await client.call('workers.release', of(offer), { signal })),
    beat: async (offer, signal) => void (await client.call('workers.beat', of(offer), { signal })),
    async log(offer, { group, bytes }, signal) {
      const { params, body } = of(offer);
      const base64 = bytes && Buffer.from(bytes).toString('base64');
      const said = { ...(group !== undefined && { group }), ...(base64 !== undefined && { base64 }) };
      await client.call('workers.log', { params, body: { ...body, ...said } }, { signal });
    },
    async end(offer, end, signal) {
      const { params, body } = of(offer);
      await client.call('workers.end', { params, body: { ...body, ...end } }, { signal });
    },
    source: (offer, signal) =>
      client.call('workers.source', of(offer), { signal, waitSeconds: FILES_WAIT_SECONDS }),
    fetch({ id, lease }, digest, offset, signal) {
      const call = { params: { id, digest }, query: { lease, offset } };
      return client.text('workers.fetch', call, { signal, waitSeconds: FILES_WAIT_SECONDS });
    },
    async send({ id, lease }, { digest, offset, bytes }, signal) {
      const call = { params: { id, digest }, query: { lease, offset } };
      await client.send('workers.send', call, bytes, { signal });
    },
    async keep({ id, lease }, { digest, sizeBytes }, signal) {
      const call = { params: { id, digest }, body: { lease, sizeBytes } };
      await client.call('workers.keep', call, { signal, waitSeconds: FILES_WAIT_SECONDS });
    },
  };
}
