/**
 * From a source folder to a recorded image. One bake of a folder at a time: a second one waits and then, most
 * often, finds nothing changed. An image is recorded, in one transaction, only when all its blobs are durable; a
 * crash before that leaves blobs that the next bake takes over or `collect` removes.
 */
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import type { ComponentDefinition } from '../domain/component.ts';
import { KilnError } from '../domain/errors.ts';
import { type BakeId, channelName, componentName, type Digest, type ImageId } from '../domain/ids.ts';
import type { Artifact, Image } from '../domain/image.ts';
import type { BuildDifference, Builder, BuildRequest } from '../domain/ports/builder.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { Store } from '../domain/ports/store.ts';
import {
  type BakeOutcome,
  type BakeProgress,
  BakeRecord,
  type BakeView,
  failedOutcome,
} from './bake-record.ts';
import type { FileBlobStore } from './blobs.ts';
import type { GitFacts } from './git-facts.ts';
import { imageTags } from './image-tags.ts';
import { type Collected, collectBlobs, sweepAfterCrash } from './litter.ts';
import { blobsOf, readManifest } from './oci-layout.ts';
import { distinguished, versionTaken, type WantedVersion, wantedVersion } from './versions.ts';

/** Layers that only the cache of build steps stands on are kept this long after their last use. */
const STEP_CACHE_MS = 14 * 24 * 3600 * 1000;
const RECORDS_KEPT = 100;

export interface BakeryOptions {
  readonly store: Pick<Store, 'images' | 'channels'>;
  readonly blobs: FileBlobStore;
  readonly builders: readonly Builder[];
  readonly clock: Clock;
  /** Absolute. */
  readonly stateDirectory: string;
  readonly readDefinition: (directory: string) => Promise<ComponentDefinition>;
  readonly readGitFacts: (directory: string, signal: AbortSignal) => Promise<GitFacts | undefined>;
  /** Layers that a builder's cache needs, of what was used since then. */
  readonly cachedLayers: (sinceMs: number) => Promise<ReadonlySet<Digest>>;
  /** Of a kind that is never given twice. */
  readonly randomId: () => string;
}

export interface BakeRequest {
  /** Absolute path of the component's folder. */
  readonly directory: string;
  readonly version?: string;
  /** Who bakes. */
  readonly actor: string;
  /** Build again without any cache and name what differs. */
  readonly verify?: boolean;
}

export class Bakery {
  readonly #options: BakeryOptions;
  readonly #records = new Map<BakeId, BakeRecord>();
  /** The last bake of each folder; `collect` waits for all of them. */
  readonly #queues = new Map<string, Promise<void>>();
  #collecting: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: BakeryOptions) {
    this.#options = options;
  }

  /** Call before the first bake: removes what a crash has left. */
  async sweep(): Promise<void> {
    await sweepAfterCrash(this.#options.stateDirectory, this.#options.blobs);
  }

  /** Begins a bake and returns at once; fails only when the folder is not there. */
  async start(request: BakeRequest): Promise<{ readonly id: BakeId }> {
    if (this.#closed) throw new KilnError('aborted', 'The server is stopping.', { retryable: true });
    const directory = await existingDirectory(request.directory);
    const id = `bake-${this.#options.randomId()}` as BakeId;
    const record = new BakeRecord({
      id,
      directory,
      startedAtMs: this.#options.clock.now(),
      startedBy: request.actor,
    });
    this.#records.set(id, record);
    this.#forgetOldRecords();
    const before = Promise.all([this.#queues.get(directory), this.#collecting]);
    const done = before.then(() => this.#run(record, { ...request, directory }));
    this.#queues.set(directory, done);
    void done.then(() => {
      if (this.#queues.get(directory) === done) this.#queues.delete(directory);
    });
    return { id };
  }

  get(id: BakeId): BakeView {
    return this.#recordOf(id).view;
  }

  /** Its state when it has ended or after `timeoutMs`. */
  wait(id: BakeId, timeoutMs: number, signal: AbortSignal): Promise<BakeView> {
    return this.#recordOf(id).wait(timeoutMs, signal);
  }

  /** Progress from the beginning; the last item is of kind `end`. */
  follow(id: BakeId, signal: AbortSignal): AsyncIterable<BakeProgress> {
    return this.#recordOf(id).follow(signal);
  }

  /** Ends it; nothing is left of it. One that has ended stays as it is. */
  cancel(id: BakeId): void {
    this.#recordOf(id).controller.abort(new KilnError('aborted', 'The bake was cancelled.'));
  }

  /** Deletes blobs that no manifest in `keep` stands on; waits for bakes under way, and they for it. */
  async collect(keep: ReadonlySet<Digest>): Promise<Collected> {
    const { blobs, cachedLayers, clock } = this.#options;
    const before = Promise.all([...this.#queues.values(), this.#collecting]);
    const collected = before.then(async () =>
      collectBlobs(blobs, keep, await cachedLayers(clock.now() - STEP_CACHE_MS)),
    );
    this.#collecting = collected.then(
      () => undefined,
      () => undefined,
    );
    return collected;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const record of this.#records.values()) {
      record.controller.abort(new KilnError('aborted', 'The server is stopping.', { retryable: true }));
    }
    await Promise.all([...this.#queues.values(), this.#collecting]);
    await Promise.all(this.#options.builders.map((builder) => builder.close()));
  }

  async #run(record: BakeRecord, request: BakeRequest): Promise<void> {
    let outcome: BakeOutcome;
    try {
      outcome = await this.#bake(record, request);
    } catch (error) {
      outcome = failedOutcome(record.controller.signal.aborted ? record.controller.signal.reason : error);
    }
    record.end(outcome, this.#options.clock.now());
  }

  async #bake(record: BakeRecord, request: BakeRequest): Promise<BakeOutcome> {
    const { signal } = record.controller;
    signal.throwIfAborted();
    const job = await this.#prepare(record, request);
    const decided = await this.#decide(job);
    if (decided.image === undefined) {
      const image = await this.#record(await this.#make(job, decided.reuse), job, decided.version);
      return { kind: 'baked', image, ...(await this.#verified(job, image)) };
    }
    if (!(await this.#isWhole(decided.image))) await this.#restore(job, decided.image);
    return { kind: 'unchanged', image: decided.image, ...(await this.#verified(job, decided.image)) };
  }

  async #prepare(record: BakeRecord, request: BakeRequest): Promise<Job> {
    const { signal } = record.controller;
    const [definition, git] = await Promise.all([
      this.#options.readDefinition(request.directory),
      this.#options.readGitFacts(request.directory, signal),
    ]);
    const parent = await this.#resolveBase(definition);
    const base = parent?.artifacts[0]?.digest;
    const builder = this.#options.builders.find(({ kind }) => kind === definition.image.kind);
    if (builder === undefined) {
      throw new KilnError(
        'target.unsupported',
        `Images of kind ${definition.image.kind} cannot be baked here.`,
        {
          next: 'Use kind: bundle in kiln.yaml.',
        },
      );
    }
    const build = { definition, directory: request.directory, ...(base === undefined ? {} : { base }) };
    record.note({ kind: 'stage', name: 'scan', detail: request.directory });
    const { inputKey } = await builder.plan(build, signal);
    const wanted = wantedVersion(request.version, definition.version, git?.describe);
    return { record, request, definition, git, parent, builder, build, inputKey, wanted, signal };
  }

  /** Which version the image gets, and whether it is there already; `reuse`: another version holds the same. */
  async #decide(job: Job): Promise<{ version: string; image?: Image; reuse?: Image }> {
    const { images } = this.#options.store;
    const { component } = job.definition;
    let version = job.wanted.text;
    let taken = await images.byVersion(component, version);
    if (taken !== undefined && taken.inputKey !== job.inputKey) {
      if (job.wanted.source !== 'derived') throw versionTaken(taken, job.wanted);
      version = distinguished(version, job.inputKey);
      taken = await images.byVersion(component, version);
      if (taken !== undefined && taken.inputKey !== job.inputKey) throw versionTaken(taken, job.wanted);
    }
    if (taken !== undefined) return { version, image: taken };
    const equal = await images.byInputKey(component, job.inputKey);
    return equal !== undefined && (await this.#isWhole(equal)) ? { version, reuse: equal } : { version };
  }

  async #make(job: Job, reuse: Image | undefined): Promise<readonly Artifact[]> {
    if (reuse !== undefined) {
      job.record.note({ kind: 'stage', name: 'reused', detail: `the artifact of version ${reuse.version}` });
      return reuse.artifacts;
    }
    const result = await job.builder.build(job.build, (progress) => job.record.note(progress), job.signal);
    if (result.inputKey !== job.inputKey) throw sourceChanged();
    return result.artifacts;
  }

  async #record(artifacts: readonly Artifact[], job: Job, version: string): Promise<Image> {
    const { definition, git, parent, inputKey, request } = job;
    // The last moment to cancel: what is recorded stays.
    job.signal.throwIfAborted();
    const createdAtMs = this.#options.clock.now();
    const { component } = definition;
    return this.#options.store.images.create(
      {
        id: `image-${this.#options.randomId()}` as ImageId,
        component,
        version,
        inputKey,
        ...(parent === undefined ? {} : { parent: parent.id }),
        tags: imageTags({ component, version, git, createdAtMs, builtBy: request.actor, parent: parent?.id }),
        definition,
        artifacts,
        createdAtMs,
      },
      { actor: request.actor, atMs: createdAtMs },
    );
  }

  async #verified(job: Job, image: Image): Promise<{ differences?: readonly BuildDifference[] }> {
    const artifact = image.artifacts[0];
    if (job.request.verify !== true || artifact === undefined) return {};
    const { builder, build, record, signal } = job;
    record.note({ kind: 'stage', name: 'verify', detail: 'building again without any cache' });
    return {
      differences: await builder.verify(build, artifact, (progress) => record.note(progress), signal),
    };
  }

  /** Its blobs have gone, which the record has not: they are made again, and must be the same. */
  async #restore(job: Job, image: Image): Promise<void> {
    const made = await job.builder.build(job.build, (progress) => job.record.note(progress), job.signal);
    const wanted = image.artifacts[0]?.digest;
    if (made.artifacts[0]?.digest === wanted) return;
    throw new KilnError(
      'blob.missing',
      `The blobs of ${image.component} ${image.version} are gone, and building again gives something else.`,
      { next: 'Bake under a new version.', details: { image: image.id, digest: wanted ?? null } },
    );
  }

  async #isWhole(image: Image): Promise<boolean> {
    const { blobs } = this.#options;
    try {
      for (const artifact of image.artifacts) {
        const manifest = await readManifest(blobs, artifact.digest);
        for (const blob of blobsOf(artifact.digest, manifest)) {
          if (!(await blobs.has(blob))) return false;
        }
      }
      return true;
    } catch (error) {
      if (error instanceof KilnError && error.code === 'blob.missing') return false;
      throw error;
    }
  }

  /** `component@channel` → the image that the channel holds now. */
  async #resolveBase(definition: ComponentDefinition): Promise<Image | undefined> {
    const { base } = definition.image;
    if (base === undefined) return undefined;
    const [name = '', channel = ''] = base.split('@');
    const move = await this.#options.store.channels.current(componentName(name), channelName(channel));
    const image = move === undefined ? undefined : await this.#options.store.images.get(move.image);
    if (image === undefined) {
      throw new KilnError('not-found', `The base ${base} is not there: the channel holds no image.`, {
        next: `Bake ${name} and promote it to ${channel} first.`,
      });
    }
    if (image.revoked !== undefined) {
      throw new KilnError('image.unfit', `The base ${base} is revoked: ${image.revoked.why}`, {
        next: `Promote another image of ${name} to ${channel}.`,
      });
    }
    return image;
  }

  #recordOf(id: BakeId): BakeRecord {
    const record = this.#records.get(id);
    if (record !== undefined) return record;
    throw new KilnError('not-found', `There is no bake ${id}.`, {
      next: 'It may be of an earlier run of the server; bake again, which costs nothing when it was done.',
    });
  }

  #forgetOldRecords(): void {
    for (const [id, record] of this.#records) {
      if (this.#records.size <= RECORDS_KEPT) return;
      if (record.view.outcome !== undefined) this.#records.delete(id);
    }
  }
}

/** One bake on its way, with all that was found out for it. */
interface Job {
  readonly record: BakeRecord;
  readonly request: BakeRequest;
  readonly definition: ComponentDefinition;
  readonly git: GitFacts | undefined;
  readonly parent: Image | undefined;
  readonly builder: Builder;
  readonly build: BuildRequest;
  readonly inputKey: Digest;
  readonly wanted: WantedVersion;
  readonly signal: AbortSignal;
}

async function existingDirectory(directory: string): Promise<string> {
  if (!path.isAbsolute(directory)) {
    throw new KilnError('input.invalid', `"${directory}" is not an absolute path.`, {
      next: 'Give the absolute path of the component, on the machine of the server.',
    });
  }
  try {
    return await realpath(directory);
  } catch (error) {
    throw new KilnError('not-found', `There is no folder ${directory} on the machine of the server.`, {
      cause: error,
      next: 'Check the path.',
    });
  }
}

function sourceChanged(): KilnError {
  return new KilnError('source.changed', 'The source changed while it was baked.', {
    next: 'Bake again when nothing writes to it.',
    retryable: true,
  });
}
