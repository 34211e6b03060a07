/**
 * What people start by hand beside a folder: a source, or any repository, at a branch, a tag or a commit. What each
 * asks for is found out before it is started, so that whoever starts it is told at once of everything that is wrong.
 */

import { parseComponent } from '../../component/parse.ts';
import { COMPONENT_FILE } from '../../component/read.ts';
import { KilnError } from '../../domain/errors.ts';
import type { ExecutionRecord } from '../../domain/ports/executions.ts';
import type { PipelineSource } from '../../domain/trigger.ts';
import type { JsonObject } from '../asl/json.ts';
import type { Mirrors } from '../checkout/mirrors.ts';
import { repositoryUrl } from '../checkout/repository-url.ts';
import { folderWithin } from '../checkout/workspaces.ts';
import { type PipelineParameter, parameterValues, readParameter } from '../definition/parameters.ts';
import { type PipelineDefinition, readPipeline } from '../definition/pipeline-file.ts';
import { checkoutOf } from '../definition/trigger-declarations.ts';
import { onePipeline, pipelineFiles } from '../pipeline-files.ts';
import { jsonObject, type Pipelines, type Starter, type StartWish } from '../pipelines.ts';
import { RESOURCES } from '../task-registry.ts';
import { type CommitFound, commitAt, defaultBranch } from './commit-at.ts';
import { repositoryName } from './repository-name.ts';
import { checkoutFacts, folderInRepository, pathWithin, type SourceFolders } from './source-folder.ts';

/** Less than a client waits for an answer. */
const LIMIT_MS = 45_000;

export interface AskedStartsParts {
  readonly mirrors: Mirrors;
  readonly folders: Pick<SourceFolders, 'within'>;
  readonly pipelines: Pick<Pipelines, 'start' | 'parameters'>;
  readonly newId: () => string;
  readonly limitMs?: number;
}

export interface RepositoryPlace {
  readonly repository: string;
  /** Branch, tag or commit; absent: the branch that the repository's HEAD names. */
  readonly at?: string;
  readonly directory?: string;
  readonly file?: string;
}

export interface Asked {
  readonly component: string;
  readonly parameters: readonly PipelineParameter[];
}

/** What was found where somebody wants to start. */
interface Start extends Asked {
  readonly found: CommitFound;
  readonly checkout: PipelineDefinition['checkout'];
}

type PlaceAt = Required<Pick<RepositoryPlace, 'at'>> & {
  readonly url: string;
  readonly directory: string;
  readonly file?: string | undefined;
  /** So many commits back; absent: all of its history. */
  readonly depth?: number | undefined;
};

export class AskedStarts {
  readonly #parts: AskedStartsParts;

  constructor(parts: AskedStartsParts) {
    this.#parts = parts;
  }

  async ofRepository(wish: RepositoryPlace, signal: AbortSignal): Promise<Asked> {
    return this.#inTime(wish.repository, signal, async (until) =>
      this.#look(await this.#placeOf(wish, until), until),
    );
  }

  /** What the source was registered with is what is taken where nothing else is said. */
  async ofSource(source: PipelineSource, at: string | undefined, signal: AbortSignal): Promise<Asked> {
    const parameters = await this.#declaredBy(source, at, signal);
    const registered = jsonObject(source.parameters);
    return { component: source.component, parameters: parameters.map((one) => withDefault(one, registered)) };
  }

  /** Throws `input.invalid` with a fault for each parameter that is missing, unknown or wrong. */
  async check(
    source: PipelineSource,
    at: string | undefined,
    given: Readonly<Record<string, unknown>>,
    signal: AbortSignal,
  ): Promise<void> {
    const parameters = await this.#declaredBy(source, at, signal);
    parameterValues(parameters, jsonObject({ ...source.parameters, ...given }));
  }

  /** In a folder of its own, which goes with its end. */
  async start(
    place: RepositoryPlace,
    wish: Omit<StartWish, 'directory' | 'file' | 'facts' | 'definition'>,
    starter: Starter,
    signal: AbortSignal,
  ): Promise<ExecutionRecord> {
    const id = starter.id ?? `exec-${this.#parts.newId()}`;
    return this.#inTime(place.repository, signal, async (until) => {
      const { at, ...where } = await this.#placeOf(place, until);
      const { found, checkout, parameters } = await this.#look({ at, ...where }, until);
      parameterValues(parameters, jsonObject(wish.parameters));
      const { mirror, facts } = found;
      const of = { repository: where.url, commit: facts.sha, options: checkoutOf(checkout) };
      const commit = { ...facts, version: facts.sha, ...(place.at === undefined && branchFacts(at)) };
      const source = { repository: where.url, checkout: checkoutFacts(id, of) };
      return this.#parts.folders.within(id, of, mirror, until, async (root) => {
        const directory = await folderWithin(root, where.directory);
        const named = { ...(where.file !== undefined && { file: where.file }) };
        // Whoever was told that it took too long has started nothing.
        until.throwIfAborted();
        const begun = { ...wish, ...named, directory, facts: { source, commit } };
        return this.#parts.pipelines.start(begun, { ...starter, id });
      });
    });
  }

  async #declaredBy(
    { location, directory, branch, file, checkout }: PipelineSource,
    at: string | undefined,
    signal: AbortSignal,
  ): Promise<readonly PipelineParameter[]> {
    if (location.kind === 'folder') {
      const folder = pathWithin(location.path, directory);
      return (await this.#parts.pipelines.parameters(folder, file)).parameters;
    }
    const place = { url: location.url, at: at ?? branch, directory, file, depth: checkout.depth };
    return (await this.#inTime(location.url, signal, (until) => this.#look(place, until))).parameters;
  }

  async #placeOf({ repository, at, directory = '', file }: RepositoryPlace, signal: AbortSignal) {
    const { url } = repositoryUrl(repository);
    const where = { url, directory: folderInRepository(directory), ...(file !== undefined && { file }) };
    return { ...where, at: at ?? (await defaultBranch(this.#parts.mirrors, url, signal)) };
  }

  async #look(place: PlaceAt, signal: AbortSignal): Promise<Start> {
    const found = await commitAt(this.#parts.mirrors, place, place.depth, signal, [COMPONENT_FILE]);
    if (found === undefined) throw noSuchCommit(place);
    const { directory, file } = place;
    const component = found.texts[pipelineFiles(file).length];
    const pipeline = onePipeline(directory, file, found.texts);
    if (pipeline === undefined && (component === undefined || file !== undefined)) throw noPipeline(place);
    const nameOf = (text: string): string =>
      parseComponent(text, pathWithin(directory, COMPONENT_FILE)).component;
    const named = component === undefined ? lastPart(place) : nameOf(component);
    // Without a file it is the default pipeline, which asks for nothing.
    const none = { parameters: [], checkout: { submodules: true, lfs: true } };
    const { parameters, checkout } =
      pipeline === undefined
        ? none
        : await readPipeline(pipeline.text, pathWithin(directory, pipeline.file), { resources: RESOURCES });
    return { found, component: named, parameters, checkout };
  }

  /** A fetch that others have begun is not waited for any longer either. */
  async #inTime<Result>(
    url: string,
    signal: AbortSignal,
    work: (until: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const limitMs = this.#parts.limitMs ?? LIMIT_MS;
    const limit = AbortSignal.timeout(limitMs);
    const { promise: late, reject } = Promise.withResolvers<never>();
    const end = (): void => reject(tooLong(url, limitMs));
    limit.addEventListener('abort', end, { once: true });
    try {
      return await Promise.race([work(AbortSignal.any([signal, limit])), late]);
    } finally {
      limit.removeEventListener('abort', end);
    }
  }
}

function withDefault(parameter: PipelineParameter, registered: JsonObject): PipelineParameter {
  const given = registered[parameter.name];
  const read = given === undefined ? undefined : readParameter(parameter, given);
  return read !== undefined && 'value' in read ? { ...parameter, default: read.value } : parameter;
}

function branchFacts(branch: string): JsonObject {
  return { ref: `refs/heads/${branch}`, branch };
}

function lastPart({ url, directory }: PlaceAt): string {
  const parts = (directory === '' ? repositoryName(url) : directory).split('/');
  return parts.at(-1) ?? url;
}

function noSuchCommit({ url, at }: PlaceAt): KilnError {
  return new KilnError('input.invalid', `${url} has no branch, tag or commit ${at}.`, {
    next: 'Name one that it has.',
    faults: [{ path: 'at', message: 'is no branch, tag or commit of it', found: at }],
  });
}

function noPipeline({ url, at, directory, file }: PlaceAt): KilnError {
  const where = directory === '' ? 'at its root' : `in ${directory}`;
  const missing = file ?? `pipeline.yaml, microtica.yaml or ${COMPONENT_FILE}`;
  return new KilnError('input.invalid', `${url} has no ${missing} ${where} at ${at}.`, {
    next: 'Name the folder of the component in the repository, and a branch, tag or commit that has it.',
    faults: [
      { path: file === undefined ? 'directory' : 'file', message: 'holds no pipeline and no component' },
    ],
  });
}

function tooLong(url: string, limitMs: number): KilnError {
  return new KilnError('timeout', `${url} was not read within ${limitMs / 1_000} s.`, {
    next: 'See that the server’s machine reaches it; of a large repository, watch it first: kiln pipeline watch REPOSITORY',
    retryable: true,
  });
}
