/** One bake from its folder to its outcome: what is there already is taken, the rest is built and recorded. */
import { baseReference, type ComponentDefinition } from '../domain/component.ts';
import { KilnError } from '../domain/errors.ts';
import { channelName, componentName, type Digest, type ImageId } from '../domain/ids.ts';
import type { Artifact, Image } from '../domain/image.ts';
import type {
  BuildDifference,
  Builder,
  BuildNaming,
  BuildRequest,
  BuildResult,
} from '../domain/ports/builder.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { Store } from '../domain/ports/store.ts';
import type { BakeOutcome, BakeRecord } from './bake-record.ts';
import type { FileBlobStore } from './blobs.ts';
import type { GitFacts } from './git-facts.ts';
import { imageTags } from './image-tags.ts';
import { distinguished, versionTaken, type WantedVersion, wantedVersion } from './versions.ts';

/** The source may change between looking at it and building it; twice means that it never rests. */
const ATTEMPTS = 2;

export interface BakingParts {
  readonly store: Pick<Store, 'images' | 'channels'>;
  readonly blobs: FileBlobStore;
  readonly builders: readonly Builder[];
  readonly clock: Clock;
  readonly readDefinition: (directory: string) => Promise<ComponentDefinition>;
  readonly readGitFacts: (directory: string, signal: AbortSignal) => Promise<GitFacts | undefined>;
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

export class Baking {
  readonly #options: BakingParts;

  constructor(options: BakingParts) {
    this.#options = options;
  }

  async bake(record: BakeRecord, request: BakeRequest): Promise<BakeOutcome> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      record.controller.signal.throwIfAborted();
      const job = await this.#prepare(record, request);
      const decided = await this.#decide(job);
      if (decided.image !== undefined) {
        if (!(await this.#isWhole(decided.image, job))) await this.#restore(job, decided.image);
        return { kind: 'unchanged', image: decided.image, ...(await this.#verified(job, decided.image)) };
      }
      const naming = this.#naming(job, decided.version);
      const made = await this.#make(job, decided.reuse, naming);
      if (made.inputKey !== job.inputKey) continue;
      const image = await this.#record(made.artifacts, job, naming);
      return { kind: 'baked', image, ...(await this.#verified(job, image)) };
    }
    throw sourceChanged();
  }

  async #prepare(record: BakeRecord, request: BakeRequest): Promise<Job> {
    const { signal } = record.controller;
    const [definition, git] = await Promise.all([
      this.#options.readDefinition(request.directory),
      this.#options.readGitFacts(request.directory, signal),
    ]);
    const parent = await this.#resolveBase(definition);
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
    const base = parent === undefined ? {} : { base: { image: parent.id, artifacts: parent.artifacts } };
    const build = { definition, directory: request.directory, ...base };
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
    return equal !== undefined && (await this.#isWhole(equal, job)) ? { version, reuse: equal } : { version };
  }

  #naming({ definition, git, parent, request }: Job, version: string): BuildNaming {
    const atMs = this.#options.clock.now();
    const { component } = definition;
    const builtBy = request.actor;
    return {
      version,
      atMs,
      tags: imageTags({ component, version, git, createdAtMs: atMs, builtBy, parent }),
    };
  }

  async #make(job: Job, reuse: Image | undefined, naming: BuildNaming): Promise<BuildResult> {
    if (reuse !== undefined) {
      job.record.note({ kind: 'stage', name: 'reused', detail: `the artifact of version ${reuse.version}` });
      return { inputKey: job.inputKey, artifacts: reuse.artifacts };
    }
    return job.builder.build(job.build, (progress) => job.record.note(progress), job.signal, naming);
  }

  async #record(artifacts: readonly Artifact[], job: Job, naming: BuildNaming): Promise<Image> {
    const { definition, parent, inputKey, request } = job;
    // The last moment to cancel: what is recorded stays.
    job.signal.throwIfAborted();
    const { component } = definition;
    const { version, tags, atMs: createdAtMs } = naming;
    return this.#options.store.images.create(
      {
        id: `image-${this.#options.randomId()}` as ImageId,
        component,
        version,
        inputKey,
        ...(parent === undefined ? {} : { parent: parent.id }),
        tags,
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
    const naming = { version: image.version, tags: image.tags, atMs: image.createdAtMs };
    const made = await job.builder.build(
      job.build,
      (progress) => job.record.note(progress),
      job.signal,
      naming,
    );
    const wanted = image.artifacts[0]?.digest;
    if (made.artifacts[0]?.digest === wanted) return;
    throw new KilnError(
      'blob.missing',
      `The blobs of ${image.component} ${image.version} are gone, and building again gives something else.`,
      { next: 'Bake under a new version.', details: { image: image.id, digest: wanted ?? null } },
    );
  }

  async #isWhole(image: Image, { builder, signal }: Job): Promise<boolean> {
    for (const artifact of image.artifacts) {
      if (!(await builder.isWhole(artifact, signal))) return false;
    }
    return true;
  }

  /** `component@channel` → the image that the channel holds now. */
  async #resolveBase(definition: ComponentDefinition): Promise<Image | undefined> {
    const base = baseReference(definition.image);
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
}

function sourceChanged(): KilnError {
  return new KilnError('source.changed', 'The source changed while it was baked.', {
    next: 'Bake again when nothing writes to it.',
    retryable: true,
  });
}
