/**
 * One build of a Dockerfile by the engine: by its BuildKit, which asks Kiln's session for the files, secrets and agent
 * that it needs, or by its classic builder, which takes the files as an archive and knows no mounts.
 */
import { z } from 'zod';
import { agentService, secretsService } from '../../docker/buildkit/build-secrets.ts';
import { BuildSession } from '../../docker/buildkit/build-session.ts';
import { BuildTrace } from '../../docker/buildkit/build-trace.ts';
import { fileSync, type SyncedEntry } from '../../docker/buildkit/file-sync.ts';
import { type EngineClient, isRefusal } from '../../docker/engine-client.ts';
import type { ContainerSpec } from '../../domain/component.ts';
import { KilnError } from '../../domain/errors.ts';
import { hexOf } from '../../domain/ids.ts';
import type { BuildProgress } from '../../domain/ports/builder.ts';
import { sha256 } from '../blobs.ts';
import { type BuildContext, contextArchive, contextContent, OWN_DOCKERFILE } from './build-context.ts';
import { pinned } from './dockerfile.ts';
import { withoutSecrets } from './granted-secrets.ts';
import { checkMounts } from './mounts.ts';

/** By it is found what a build has left. */
export const BUILD_LABEL = 'kiln.build';
const BUILD_LIMIT_MS = 60 * 60 * 1000;
const CANCEL_LIMIT_MS = 10_000;

export interface EngineBuild {
  /** Unique; also what BuildKit knows the build and its session by. */
  readonly id: string;
  readonly component: string;
  /** What the result is called. */
  readonly name: string;
  readonly container: ContainerSpec;
  /** The author's own. */
  readonly dockerfile: string;
  readonly bases: ReadonlyMap<string, string>;
  readonly context: BuildContext;
  readonly secrets: ReadonlyMap<string, Buffer>;
  /** Absolute path of its socket; undefined: the build gets none. */
  readonly sshAgent: string | undefined;
  /** Without any cache. */
  readonly afresh: boolean;
}

type OnProgress = (progress: BuildProgress) => void;

const progressShape = z.object({
  id: z.string().optional(),
  stream: z.string().optional(),
  status: z.string().optional(),
  error: z.string().optional(),
  aux: z.unknown().optional(),
});

/** Fails with `build.failed`, `build.timeout` or what Kiln itself failed at. */
export async function buildOnEngine(
  client: EngineClient,
  build: EngineBuild,
  builder: 'classic' | 'buildkit',
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<void> {
  const limit = AbortSignal.timeout(BUILD_LIMIT_MS);
  const both = AbortSignal.any([signal, limit]);
  const hide = withoutSecrets(build.secrets.values());
  const onLine = (line: string): void =>
    onProgress({ kind: 'output', line: withBaseNames(hide(line), build.bases) });
  try {
    const file = ownDockerfile(build);
    const session = builder === 'classic' ? undefined : await openSession(client, build, file, both);
    if (session !== undefined) {
      await buildInSession(client, build, session, file, onLine, both);
      return;
    }
    // That it has no BuildKit an engine may say only now.
    const { container, dockerfile } = build;
    checkMounts(dockerfile, { file: container.dockerfile, container, builder: 'classic' });
    await buildClassically(client, build, onLine, both);
  } catch (error) {
    signal.throwIfAborted();
    if (limit.aborted) {
      throw new KilnError('build.timeout', 'The build of the Dockerfile took longer than an hour.', {
        next: 'Split it, or look at what hangs.',
      });
    }
    if (error instanceof BuildFailure) throw failed(hide(error.message));
    if (isRefusal(error, 400) || isRefusal(error, 500)) throw failed(hide(error.message));
    throw error;
  }
}

async function openSession(
  client: EngineClient,
  { id, context, secrets, sshAgent }: EngineBuild,
  file: SyncedEntry,
  signal: AbortSignal,
): Promise<BuildSession | undefined> {
  return BuildSession.open(
    client,
    {
      id,
      // Of this very content: times, by which the engine would see that a file is another, are not given.
      sharedKey: context.digest,
      methods: {
        ...fileSync({ dockerfile: [file], context: syncedContext(context) }),
        ...secretsService(secrets),
        ...(sshAgent === undefined ? {} : agentService(sshAgent)),
      },
    },
    signal,
  );
}

async function buildInSession(
  client: EngineClient,
  build: EngineBuild,
  session: BuildSession,
  file: SyncedEntry,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const query = {
    ...commonQuery(build, file.path),
    version: '2',
    remote: 'client-session',
    session: session.id,
    buildid: build.id,
    labels: JSON.stringify({ [BUILD_LABEL]: build.component }),
  };
  try {
    const request = { method: 'POST', path: '/build', query, signal, limitMs: BUILD_LIMIT_MS } as const;
    await follow(await client.open(request), onLine);
  } catch (error) {
    await cancel(client, build.id);
    throw session.failure === undefined || session.failure.code === 'not-found' ? error : session.failure;
  } finally {
    session.close();
  }
}

/** It ends when nobody listens any more; told, it ends at once. */
async function cancel(client: EngineClient, id: string): Promise<void> {
  const signal = AbortSignal.timeout(CANCEL_LIMIT_MS);
  try {
    await client.send({ method: 'POST', path: '/build/cancel', query: { id }, signal });
  } catch {
    // It has ended already, or the engine has: why the build failed is what counts.
  }
}

async function buildClassically(
  client: EngineClient,
  build: EngineBuild,
  onLine: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { container, bases, context, component } = build;
  const label = { name: BUILD_LABEL, value: component };
  const dockerfile = pinned(build.dockerfile, container.args, bases, label);
  const query = { ...commonQuery(build, OWN_DOCKERFILE), rm: '1', forcerm: '1' };
  const body = contextArchive(context, dockerfile, signal);
  const request = { method: 'POST', path: '/build', query, body, signal, limitMs: BUILD_LIMIT_MS } as const;
  await follow(await client.open(request), onLine);
}

function commonQuery({ name, container, afresh }: EngineBuild, dockerfile: string): Record<string, string> {
  return {
    t: name,
    dockerfile,
    buildargs: JSON.stringify(container.args),
    ...(container.stage === undefined ? {} : { target: container.stage }),
    ...(afresh ? { nocache: '1' } : {}),
  };
}

class BuildFailure extends Error {}

/** The engine's log: JSON objects, one a line. An error is the last of them. */
async function follow(log: AsyncIterable<Buffer>, onLine: (line: string) => void): Promise<void> {
  const trace = new BuildTrace();
  let rest = '';
  let shown = '';
  const take = (line: string): void => {
    if (line.trim() === '') return;
    const { id, stream, status, error, aux } = progressShape.parse(JSON.parse(line));
    if (error !== undefined) throw new BuildFailure(error);
    if (id === 'moby.buildkit.trace' && typeof aux === 'string') {
      for (const told of trace.lines(Buffer.from(aux, 'base64'))) onLine(told);
    }
    shown += stream ?? (status === undefined ? '' : `${status}\n`);
    const lines = shown.split('\n');
    shown = lines.pop() ?? '';
    for (const text of lines) if (text.trim() !== '') onLine(text.trimEnd());
  };
  const decoder = new TextDecoder();
  try {
    for await (const chunk of log) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) take(line);
    }
    take(rest);
  } finally {
    for (const told of [...trace.rest(), shown]) if (told.trim() !== '') onLine(told.trimEnd());
  }
}

/** People know their bases by the names that they wrote. */
function withBaseNames(line: string, bases: ReadonlyMap<string, string>): string {
  let named = line;
  for (const [base, pin] of bases) named = named.replaceAll(`docker.io/library/${pin}`, base);
  return named;
}

/** Its name says what is in it, as the key of the files does. */
function ownDockerfile({ dockerfile, container, bases }: EngineBuild): SyncedEntry {
  const text = Buffer.from(pinned(dockerfile, container.args, bases));
  const path = `${hexOf(sha256(text))}.Dockerfile`;
  return {
    ...{ kind: 'file', path, mode: 0o644, sizeBytes: text.length, link: '' },
    async *read() {
      yield text;
    },
  };
}

function syncedContext(context: BuildContext): readonly SyncedEntry[] {
  return context.entries.map((entry) => ({
    ...entry,
    read: (signal) => contextContent(context, entry, signal),
  }));
}

function failed(why: string): KilnError {
  return new KilnError('build.failed', `The Dockerfile could not be built: ${why}`, {
    next: 'Read the log of the build above; nothing of it is left.',
  });
}
