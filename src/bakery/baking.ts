/** One bake from its folder to its outcome: what is there already is taken, the rest is built and recorded. */
import type { ComponentDefinition } from '../domain/component.ts';
import { KilnError } from '../domain/errors.ts';
import type { Digest, ImageId } from '../domain/ids.ts';
import type { Artifact, Image, ImageSource } from '../domain/image.ts';
import type { Tags } from '../domain/image-tags.ts';
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
import { sourceOf, withRecordedSource } from './recorded-source.ts';
import { asBase, resolveBase } from './resolve-base.ts';
import { distinguished, versionAgain, versionTaken, type WantedVersion, wantedVersion } from './versions.ts';

/** The source may change between looking at it and building it; twice means that it never rests. */
const ATTEMPTS = 2;

export interface BakingParts {
  readonly store: Pick<Store, 'images' | 'channels'>;
  readonly blobs: FileBlobStore;
  readonly builders: readonly Builder[];
  readonly clock: Clock;
  readonly readDefinition: (directory: string) => Promise<ComponentDefinition>;
  /** Absolute. */
  readonly stateDirectory: string;
  /** This server, as images note it with their source. */
  readonly origin: Pick<ImageSource, 'server' | 'host'>;
  readonly readGitFacts: (directory: string, signal: AbortSignal) => Promise<GitFacts | undefined>;
  /** Of a kind that is never given twice. */
  readonly randomId: () => string;
}

export interface BakeRequest {
  /** Absolute path of the component's folder. */
  readonly directory: string;
  readonly version?: string;
  /** Bake the source of this image once more, on its base as it is now; `directory` is the recorded one then. */
  readonly again?: Image;
  /** Who bakes. */
  readonly actor: string;
  /** Build again without any cache and name what differs. */
  readonly verify?: boolean;
  /** More tags for the image; one that is there already gets them too. They say nothing of what it is. */
  readonly tags?: Tags;
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

  bake(record: BakeRecord, request: BakeRequest): Promise<BakeOutcome> {
    const { again } = request;
    const { signal } = record.controller;
    return again === undefined
      ? this.#bakeFrom(record, request)
      : withRecordedSource(again, this.#options.stateDirectory, signal, async (directory) =>
          (await this.#isSourceOf(again, directory, signal))
            ? this.#bakeFrom(record, { ...request, directory })
            : undefined,
        );
  }

  async #bakeFrom(record: BakeRecord, request: BakeRequest): Promise<BakeOutcome> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      record.controller.signal.throwIfAborted();
      const job = await this.#prepare(record, request);
      const decided = await this.#decide(job);
      if (decided.image !== undefined) {
        if (!(await this.#isWhole(decided.image, job))) await this.#restore(job, decided.image);
        const image = await this.#tagged(decided.image, request);
        return { kind: 'unchanged', image, ...(await this.#verified(job, image)) };
      }
      const naming = this.#naming(job, decided.version);
      const made = await this.#make(job, decided.reuse, naming);
      if (made.inputKey !== job.inputKey) continue;
      const { again, directory } = request;
      if (again !== undefined && !(await this.#isSourceOf(again, directory, job.signal))) continue;
      const image = await this.#record(made.artifacts, job, naming);
      return { kind: 'baked', image, ...(await this.#verified(job, image)) };
    }
    throw sourceChanged();
  }

  async #prepare(record: BakeRecord, request: BakeRequest): Promise<Job> {
    const { signal } = record.controller;
    const [definition, git] = await Promise.all([
      this.#options.readDefinition(request.directory),
      recordedFacts(request.again) ?? this.#options.readGitFacts(request.directory, signal),
    ]);
    const parent = await resolveBase(this.#options.store, definition);
    const builder = this.#builderOf(definition);
    const build = { definition, directory: request.directory, ...asBase(parent) };
    record.note({ kind: 'stage', name: 'scan', detail: request.directory });
    const { inputKey } = await builder.plan(build, signal);
    const wanted = wantedVersion(request.version, definition.version, git?.describe);
    return { record, request, definition, git, parent, builder, build, inputKey, wanted, signal };
  }

  /** Whether the folder holds what the image was baked from: on the base of then, it has the key of then. */
  async #isSourceOf(image: Image, directory: string, signal: AbortSignal): Promise<boolean> {
    const { store, readDefinition } = this.#options;
    const parent = image.parent === undefined ? undefined : await store.images.get(image.parent);
    try {
      const definition = await readDefinition(directory);
      if (definition.component !== image.component) return false;
      const plan = { definition, directory, ...asBase(parent) };
      return (await this.#builderOf(definition).plan(plan, signal)).inputKey === image.inputKey;
    } catch (error) {
      // Another folder may stand there by now: without a kiln.yaml, or with one that is wrong.
      if (error instanceof KilnError && error.code.startsWith('component-file.')) return false;
      throw error;
    }
  }

  #builderOf({ image: { kind: wanted } }: ComponentDefinition): Builder {
    const builder = this.#options.builders.find(({ kind }) => kind === wanted);
    if (builder !== undefined) return builder;
    throw new KilnError('target.unsupported', `Images of kind ${wanted} cannot be baked here.`, {
      next: 'Use kind: bundle in kiln.yaml.',
    });
  }

  /** Which version the image gets, and whether it is there already; `reuse`: another version holds the same. */
  async #decide(job: Job): Promise<{ version: string; image?: Image; reuse?: Image }> {
    const { images } = this.#options.store;
    const { component } = job.definition;
    if (job.request.again !== undefined) return this.#decideAgain(job, job.request.again);
    let version = job.wanted.text;
    let taken = await images.byVersion(component, version);
    if (taken !== undefined && taken.inputKey !== job.inputKey) {
      if (job.wanted.source !== 'derived') throw versionTaken(taken, job.wanted);
      version = distinguished(version, job.inputKey);
      taken = await images.byVersion(component, version);
      if (taken !== undefined && taken.inputKey !== job.inputKey) throw versionTaken(taken, job.wanted);
    }
    if (taken !== undefined) return { version, image: taken };
    return { version, ...(await this.#equalTo(job)) };
  }

  /** Equal bytes under another base are another image all the same: its lineage is. */
  async #decideAgain(job: Job, again: Image): Promise<{ version: string; image?: Image; reuse?: Image }> {
    const { images } = this.#options.store;
    const { component } = again;
    const isIt = (image: Image | undefined): image is Image =>
      image !== undefined && image.inputKey === job.inputKey && image.parent === job.parent?.id;
    const equal = await images.byInputKey(component, job.inputKey);
    if (isIt(equal)) return { version: equal.version, image: unrevoked(equal) };
    for (let turn = 1; ; turn += 1) {
      const version = versionAgain(again.version, job.inputKey, turn);
      const taken = await images.byVersion(component, version);
      if (taken === undefined) return { version, ...(await this.#equalTo(job)) };
      if (isIt(taken)) return { version, image: unrevoked(taken) };
    }
  }

  /** Another version that holds the same. */
  async #equalTo(job: Job): Promise<{ reuse?: Image }> {
    const equal = await this.#options.store.images.byInputKey(job.definition.component, job.inputKey);
    return equal !== undefined && (await this.#isWhole(equal, job)) ? { reuse: equal } : {};
  }

  #naming({ definition, git, parent, request }: Job, version: string): BuildNaming {
    const atMs = this.#options.clock.now();
    const { component } = definition;
    const facts = { component, version, git, createdAtMs: atMs, builtBy: request.actor, parent };
    const { again } = request;
    const { tags, rebake } = definition.image;
    const given = { ...tags, ...request.tags };
    return { version, atMs, tags: imageTags({ ...facts, given, rebake, again }) };
  }

  async #tagged(image: Image, { tags, actor }: BakeRequest): Promise<Image> {
    if (tags === undefined || Object.keys(tags).length === 0) return image;
    return this.#options.store.images.tag(image.id, tags, { actor, atMs: this.#options.clock.now() });
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
        source: this.#sourceFor(job),
        artifacts,
        createdAtMs,
      },
      { actor: request.actor, atMs: createdAtMs },
    );
  }

  #sourceFor({ request: { again, directory }, git }: Job): ImageSource {
    if (again !== undefined) return sourceOf(again);
    const { sha: commit, dirty = true, repository } = git ?? {};
    return {
      directory,
      ...this.#options.origin,
      ...(commit === undefined || dirty ? {} : { commit }),
      ...(repository === undefined ? {} : { repository }),
    };
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
}

/** Of the commit that an image was baked from, wherever the folder has moved on to. */
function recordedFacts(again: Image | undefined): GitFacts | undefined {
  const { commit, repository } = again?.source ?? {};
  if (commit === undefined) return undefined;
  return { sha: commit, dirty: false, ...(repository === undefined ? {} : { repository }) };
}

/** Baking the same on the same again would give what was revoked. */
function unrevoked(image: Image): Image {
  if (image.revoked === undefined) return image;
  const name = `${image.component}@${image.version}`;
  throw new KilnError('image.unfit', `${name}, which is just that, was revoked: ${image.revoked.why}`, {
    next: 'Bake a corrected source.',
  });
}

function sourceChanged(): KilnError {
  return new KilnError('source.changed', 'The source changed while it was baked.', {
    next: 'Bake again when nothing writes to it.',
    retryable: true,
  });
}
