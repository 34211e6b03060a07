/**
 * What becomes of one event: the execution that it starts, or why it starts none. Asked again after a crash it does the
 * same again, for the execution's id follows from the event.
 */
import { KilnError } from '../../domain/errors.ts';
import type { TakenEvent, TriggerOutcome, TriggerStore } from '../../domain/ports/triggers.ts';
import type { PipelineSource, PullRequestEvent, TriggerEvent } from '../../domain/trigger.ts';
import type { JsonObject } from '../asl/json.ts';
import type { CommitFacts, Mirror, Mirrors } from '../checkout/mirrors.ts';
import { folderWithin } from '../checkout/workspaces.ts';
import { onePipeline, PIPELINE_FILE, type PipelineText, pipelineFiles } from '../pipeline-files.ts';
import type { Pipelines, StartWish } from '../pipelines.ts';
import { NO_RIGHTS } from '../strangers.ts';
import { type CommitFound, commitAt, commitIn } from './commit-at.ts';
import { executionOf } from './event-key.ts';
import { passedOver } from './matching.ts';
import { repositoryName } from './repository-name.ts';
import { type DescribeComponent, declaredBy } from './source-facts.ts';
import { checkoutFacts, pathWithin, type SourceFolders } from './source-folder.ts';

export interface TriggeredStartParts {
  readonly store: Pick<TriggerStore, 'source' | 'update'>;
  readonly mirrors: Mirrors;
  readonly folders: Pick<SourceFolders, 'within'>;
  readonly pipelines: Pick<Pipelines, 'start' | 'exists'>;
  readonly describe: DescribeComponent;
  readonly now: () => number;
}

export async function actOn(
  parts: TriggeredStartParts,
  taken: TakenEvent,
  signal: AbortSignal,
): Promise<TriggerOutcome> {
  const source = await parts.store.source(taken.source);
  if (source === undefined) return { kind: 'passed-over', why: 'the source is not registered any more' };
  const execution = executionOf(source.id, taken.key);
  if (await parts.pipelines.exists(execution)) return { kind: 'started', execution };
  if (source.location.kind === 'repository') {
    return new RepositoryStart(parts, source, source.location.url, execution, signal).act(taken.event);
  }
  const why = passedOver(source, taken.event);
  if (why !== undefined) return { kind: 'passed-over', why };
  const directory = pathWithin(source.location.path, source.directory);
  const facts = { trigger: triggerFacts(taken.event), source: { id: source.id } };
  return begin(parts, source, taken.event, { execution, directory, facts });
}

interface Beginning {
  readonly execution: string;
  readonly directory: string;
  readonly facts: NonNullable<StartWish['facts']>;
  readonly definition?: NonNullable<StartWish['definition']>;
}

async function begin(
  { pipelines }: TriggeredStartParts,
  { id, file, triggers, owner, ...source }: PipelineSource,
  event: TriggerEvent,
  { execution, ...beginning }: Beginning,
): Promise<TriggerOutcome> {
  const { actor, ...rights } = owner;
  const asked = 'parameters' in event ? event.parameters : undefined;
  const wish: StartWish = {
    ...beginning,
    trigger: event.kind,
    parameters: { ...source.parameters, ...asked },
    group: `${id} ${groupOf(event, source.branch)}`,
    onOpen: triggers.onOpen,
    ...(file !== undefined && { file }),
  };
  const isTrusted = !('trusted' in event) || event.trusted;
  await pipelines.start(wish, { actor, id: execution, rights: isTrusted ? rights : NO_RIGHTS });
  return { kind: 'started', execution };
}

/** One at a time: what stands where a branch stands, what a pull request proposes. */
function groupOf(event: TriggerEvent, branch: string): string {
  if (event.kind === 'push') return event.ref;
  return event.kind === 'pull-request' ? `pull request ${event.number}` : `refs/heads/${branch}`;
}

class RepositoryStart {
  readonly #parts: TriggeredStartParts;
  readonly #source: PipelineSource;
  readonly #url: string;
  readonly #execution: string;
  readonly #signal: AbortSignal;

  constructor(
    parts: TriggeredStartParts,
    source: PipelineSource,
    url: string,
    execution: string,
    signal: AbortSignal,
  ) {
    this.#parts = parts;
    this.#source = source;
    this.#url = url;
    this.#execution = execution;
    this.#signal = signal;
  }

  async act(event: TriggerEvent): Promise<TriggerOutcome> {
    // What its file says already shuts out most: nothing is fetched for these, unless the file itself may have changed.
    const isOwnBranch = this.#isOwnBranch(event);
    const early = isOwnBranch ? undefined : passedOver(this.#source, event);
    if (early !== undefined) return { kind: 'passed-over', why: early };
    const { mirror, facts, texts } = await this.#commitOf(event);
    const source = isOwnBranch ? await this.#refreshed(this.#pipelineOf(texts)) : this.#source;
    const why = passedOver(source, await this.#withPaths(source, event, mirror, facts.sha));
    if (why !== undefined) return { kind: 'passed-over', why };
    return this.#start(source, event, mirror, facts);
  }

  #isOwnBranch(event: TriggerEvent): boolean {
    if (event.kind === 'pull-request') return false;
    if (event.kind === 'push') return event.ref === `refs/heads/${this.#source.branch}`;
    return !('at' in event) || event.at === undefined;
  }

  async #commitOf(event: TriggerEvent): Promise<CommitFound> {
    const { mirrors } = this.#parts;
    const { branch, checkout, directory, file } = this.#source;
    const place = { url: this.#url, directory, file };
    if (event.kind === 'push' || event.kind === 'pull-request') {
      if (event.kind === 'pull-request') this.#assertSameHost(event);
      const mirror = await mirrors.holding(this.#url, event, checkout.depth, this.#signal);
      return this.#existing(await commitIn(mirror, place, event.commit, this.#signal), event.commit);
    }
    const at = ('at' in event ? event.at : undefined) ?? branch;
    const found = await commitAt(mirrors, { ...place, at }, checkout.depth, this.#signal);
    return this.#existing(found, at);
  }

  #existing(found: CommitFound | undefined, at: string): CommitFound {
    if (found !== undefined) return found;
    throw new KilnError('checkout.failed', `${this.#url} has no branch, tag or commit ${at}.`, {
      next: 'Name one that it has.',
    });
  }

  #pipelineOf(texts: CommitFound['texts']): PipelineText | undefined {
    return onePipeline(this.#source.directory, this.#source.file, texts);
  }

  /** A payload names where a fork is: that can be another folder of the same host, and nothing else. */
  #assertSameHost({ from }: PullRequestEvent): void {
    if (from === undefined) return;
    const [own, other] = [this.#url, from].map((url) => repositoryName(url).split('/')[0]);
    if (own === other && own !== '') return;
    throw new KilnError('checkout.failed', `${from} is not where ${this.#url} is.`, {
      next: 'Forks are fetched from the host of the repository itself only.',
    });
  }

  /** As the file says now. It may be at fault, which then is what became of the event. */
  async #refreshed(found: PipelineText | undefined): Promise<PipelineSource> {
    const declared = await declaredBy(found, this.#source);
    const source = { ...this.#source, ...declared };
    if (JSON.stringify(source) !== JSON.stringify(this.#source)) await this.#note(source);
    return source;
  }

  async #note({ component, triggers, checkout, base }: PipelineSource): Promise<void> {
    const facts = { component, triggers, checkout, ...(base && { base }) };
    await this.#parts.store.update(this.#source.id, facts, {
      actor: this.#source.owner.actor,
      atMs: this.#parts.now(),
    });
  }

  async #withPaths(
    { triggers }: PipelineSource,
    event: TriggerEvent,
    mirror: Mirror,
    commit: string,
  ): Promise<TriggerEvent> {
    if (event.kind === 'push') {
      if (event.paths !== undefined || event.before === undefined || triggers.push?.paths === undefined)
        return event;
      const paths = await mirror.changedPaths(event.before, commit, 'before', this.#signal);
      return { ...event, ...(paths && { paths }) };
    }
    if (event.kind === 'pull-request') {
      if (event.paths !== undefined || triggers.pullRequest?.paths === undefined) return event;
      const paths = await mirror.changedPaths(`refs/heads/${event.base}`, commit, 'fork', this.#signal);
      return { ...event, ...(paths && { paths }) };
    }
    return event;
  }

  async #start(
    source: PipelineSource,
    event: TriggerEvent,
    mirror: Mirror,
    commit: CommitFacts,
  ): Promise<TriggerOutcome> {
    // What a stranger's commit names elsewhere is not fetched with this server's keys.
    const isTrusted = event.kind !== 'pull-request' || event.trusted;
    const options = isTrusted ? source.checkout : { ...source.checkout, submodules: false, lfs: false };
    const wish = { repository: this.#url, commit: commit.sha, options };
    const execution = this.#execution;
    const definition = await this.#foreignDefinition(source, event, mirror);
    const { sha, author, message, committedAtMs } = commit;
    return this.#parts.folders.within(execution, wish, mirror, this.#signal, async (root) => {
      const directory = await folderWithin(root, source.directory);
      if (this.#isOwnBranch(event)) await this.#describeAgain(source, directory);
      const facts = {
        trigger: triggerFacts(event),
        source: { id: source.id, repository: this.#url, checkout: checkoutFacts(execution, wish) },
        commit: { sha, version: sha, author, message, committedAtMs, ...refFacts(event, source) },
      };
      return begin(this.#parts, source, event, {
        execution,
        directory,
        facts,
        ...(definition && { definition }),
      });
    });
  }

  /** The base of its image may be another one since. */
  async #describeAgain(source: PipelineSource, directory: string): Promise<void> {
    const { component, base } = await this.#parts.describe(directory);
    const { base: _, ...rest } = source;
    const described = { ...rest, component, ...(base && { base }) };
    if (component === source.component && JSON.stringify(base) === JSON.stringify(source.base)) return;
    await this.#note(described);
  }

  /** A fork may change the code that is looked at, and not what is done with it: that is the repository's own. */
  async #foreignDefinition(
    { component, directory, file }: PipelineSource,
    event: TriggerEvent,
    mirror: Mirror,
  ): Promise<Beginning['definition']> {
    if (event.kind !== 'pull-request' || event.trusted) return undefined;
    const files = pipelineFiles(file).map((name) => pathWithin(directory, name));
    const { texts = [] } = (await mirror.look(`refs/heads/${event.base}`, files, this.#signal)) ?? {};
    const found = this.#pipelineOf(texts);
    const name = pathWithin(directory, found?.file ?? file ?? PIPELINE_FILE);
    if (found !== undefined) return { text: found.text, name: `${name} of ${event.base}`, component };
    throw new KilnError(
      'pipeline.invalid',
      `${event.base} has no ${name} for pull requests of forks to run.`,
      {
        next: 'Write one that needs neither secrets nor rights, such as one that only runs tests.',
      },
    );
  }
}

/** What `$.trigger` tells of the event. */
function triggerFacts(event: TriggerEvent): JsonObject {
  const by = 'sender' in event && event.sender !== undefined ? { by: event.sender } : {};
  switch (event.kind) {
    case 'push':
      return { ...by, ref: event.ref, ...(event.before !== undefined && { before: event.before }) };
    case 'pull-request': {
      const { number, base, title = '', fromFork, trusted } = event;
      return { ...by, number, base, title, fromFork, trusted };
    }
    case 'schedule':
      return { by: 'schedule', cron: event.cron, timeZone: event.timeZone, dueAtMs: event.dueAtMs };
    case 'channel-moved':
    case 'base-moved': {
      const { component, channel, image } = event;
      return { by: event.kind, component, channel, image };
    }
    case 'pipeline-ended': {
      const { pipeline, execution, status } = event;
      return { by: event.kind, pipeline, execution, status };
    }
    case 'api':
    case 'chat':
      return by;
  }
}

function refFacts(event: TriggerEvent, { branch }: PipelineSource): JsonObject {
  const ref = event.kind === 'push' || event.kind === 'pull-request' ? event.ref : `refs/heads/${branch}`;
  const [, kind, name] = /^refs\/(heads|tags)\/(.+)$/s.exec(ref) ?? [];
  if (kind === undefined || name === undefined || ('at' in event && event.at !== undefined)) return {};
  return kind === 'heads' ? { ref, branch: name } : { ref, tag: name };
}
