/** Methods as an engine calls them, over a real HTTP/2 connection. */
import { type ClientHttp2Session, connect, performServerHandshake } from 'node:http2';
import { type AddressInfo, createServer, connect as dial } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { KilnError } from '../../domain/errors.ts';
import { secretsService } from './build-secrets.ts';
import { type Methods, serveCalls } from './calls.ts';
import { fileSync, type SyncedEntry } from './file-sync.ts';
import { bytesField, bytesOf, fields, numberField } from './protobuf.ts';

async function serving(methods: Methods): Promise<{ engine: ClientHttp2Session; failures: KilnError[] }> {
  const failures: KilnError[] = [];
  const server = createServer((socket) => {
    const session = performServerHandshake(socket);
    session.on('error', () => session.destroy());
    serveCalls(session, methods, (error) => failures.push(error));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const engine = connect('http://docker', { createConnection: () => dial(port, '127.0.0.1') });
  onTestFinished(() => {
    engine.destroy();
    server.close();
  });
  return { engine, failures };
}

interface Answer {
  readonly status: string;
  readonly messages: readonly Buffer[];
}

/** Sends these messages and hears all that comes back. */
async function call(
  engine: ClientHttp2Session,
  path: string,
  headers: Readonly<Record<string, string>>,
  messages: readonly Buffer[],
): Promise<Answer> {
  const stream = engine.request({ ':method': 'POST', ':path': path, ...headers });
  for (const message of messages) {
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    stream.write(Buffer.concat([prefix, message]));
  }
  stream.end();
  let status = '';
  stream.once('trailers', (trailers) => {
    status = String(trailers['grpc-status']);
  });
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  let rest = Buffer.concat(chunks);
  const answers: Buffer[] = [];
  while (rest.length > 0) {
    const end = 5 + rest.readUInt32BE(1);
    answers.push(rest.subarray(5, end));
    rest = rest.subarray(end);
  }
  return { status, messages: answers };
}

function file(path: string, read: SyncedEntry['read']): SyncedEntry {
  return { kind: 'file', path, mode: 0o644, sizeBytes: 3, link: '', read };
}

const DIFF_COPY = '/moby.filesync.v1.FileSync/DiffCopy';
const END = numberField(1, 3);
const request = (id: number) => Buffer.concat([numberField(1, 1), numberField(3, id)]);

test('a secret is given by its name, and what is not there is not found', async () => {
  const { engine } = await serving(secretsService(new Map([['token', Buffer.from('hidden')]])));
  const path = '/moby.buildkit.secrets.v1.Secrets/GetSecret';
  const found = await call(engine, path, {}, [bytesField(1, 'token')]);
  expect(found.status).toBe('0');
  expect(found.messages.map((message) => bytesOf(message, 1).toString())).toEqual(['hidden']);
  expect(await call(engine, path, {}, [bytesField(1, 'other')])).toEqual({ status: '5', messages: [] });
  expect((await call(engine, '/no.Such/Method', {}, [])).status).toBe('12');
});

test('files are named in order, folders before what is in them, and given when asked for', async () => {
  const content = (text: string) =>
    async function* () {
      yield Buffer.from(text);
    };
  const { engine, failures } = await serving(
    fileSync({
      context: [file('b/c', content('two')), file('a', content('one')), file('b-c', content('xyz'))],
    }),
  );
  const { status, messages } = await call(engine, DIFF_COPY, { 'dir-name': 'context' }, [
    request(2),
    request(0),
    END,
  ]);
  expect(status).toBe('0');
  const named = messages.map((message) => bytesOf(bytesOf(message, 2), 1).toString()).filter(Boolean);
  expect(named).toEqual(['a', 'b', 'b/c', 'b-c']);
  const given = messages.map((message) => bytesOf(message, 4).toString()).filter(Boolean);
  expect(given).toEqual(['two', 'one']);
  expect([...fields(messages.at(-1) ?? Buffer.alloc(0))]).toEqual([{ number: 1, value: 3 }]);
  expect((await call(engine, DIFF_COPY, { 'dir-name': 'elsewhere' }, [])).status).toBe('5');
  const rules = await call(engine, DIFF_COPY, { 'dir-name': 'context', followpaths: '.dockerignore' }, [END]);
  expect(rules.messages).toHaveLength(2);
  expect(failures.map(({ code }) => code)).toEqual(['not-found']);
});

test('a file that changed ends the call with an error, and why is known here', async () => {
  const { engine, failures } = await serving(
    fileSync({
      context: [
        file('a', async function* () {
          yield Buffer.from('on');
          throw new KilnError('source.changed', 'a changed while it was baked.');
        }),
      ],
    }),
  );
  const { status, messages } = await call(engine, DIFF_COPY, { 'dir-name': 'context' }, [request(0), END]);
  expect(status).toBe('2');
  expect([...fields(messages.at(-1) ?? Buffer.alloc(0))]).toMatchObject([{ value: 4 }, { number: 4 }]);
  expect(failures).toMatchObject([{ code: 'source.changed' }]);
});

test('a caller that goes in the middle harms nobody else', async () => {
  let asked: () => void = () => {};
  const begun = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const { engine, failures } = await serving({
    '/wait': async ({ signal }) => {
      asked();
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
    '/answer': (one) => one.send(Buffer.from('here')),
  });
  const stream = engine.request({ ':method': 'POST', ':path': '/wait' });
  stream.on('error', () => undefined);
  await begun;
  stream.close(8);
  expect((await call(engine, '/answer', {}, [])).messages.map(String)).toEqual(['here']);
  expect(failures).toEqual([]);
});
