/** The folder that an execution finds its source in: made for it from a repository, and gone after its end. */
import { hostname } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { KilnError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { EventStore } from '../../domain/ports/events.ts';
import type { ExecutionStore } from '../../domain/ports/executions.ts';
import type { CheckoutOptions } from '../../domain/trigger.ts';
import type { Json, JsonObject } from '../asl/json.ts';
import { type CheckoutWish, isThere } from '../checkout/checkout.ts';
import type { Mirror } from '../checkout/mirrors.ts';
import type { Workspaces } from '../checkout/workspaces.ts';
import { checkoutOf, checkoutSchema } from '../definition/trigger-declarations.ts';
import { unlessStopped } from '../executor/running-tasks.ts';
import { leadsInto, movedPaths } from './moved-paths.ts';

/** What the input of an execution says of its folder, so that it can be made again. */
const checkedOut = z.object({
  trigger: z.object({
    source: z.object({
      location: z.string(),
      checkout: z.object({
        workspace: z.string().regex(/^[\w-]+$/),
        repository: z.string(),
        commit: z.string(),
        options: checkoutSchema,
      }),
    }),
  }),
});

const inFolder = z.object({
  trigger: z.object({ source: z.object({ location: z.string().startsWith('/') }) }),
});

export function checkoutFacts(workspace: string, { repository, commit, options }: CheckoutWish): JsonObject {
  return { workspace, repository, commit, options: plain(options) };
}

function plain({ depth, submodules, lfs }: CheckoutOptions): JsonObject {
  return { submodules, lfs, ...(depth !== undefined && { depth }) };
}

interface FolderLog {
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

export interface SourceFoldersParts {
  readonly workspaces: Workspaces;
  readonly executions: Pick<ExecutionStore, 'get' | 'list'>;
  readonly events: Pick<EventStore, 'after' | 'revision' | 'waitAfter'>;
  readonly clock: Clock;
  readonly log: FolderLog;
}

const PAGE = 500;
const RETRY_MS = 1_000;
const BRING_LIMIT_MS = 30 * 60_000;

/** A folder is used by the execution that it is named for, and by those that are retries of it. */
export class SourceFolders {
  readonly #parts: SourceFoldersParts;
  readonly #stop = new AbortController();
  #following: Promise<void> = Promise.resolve();
  /** Made, and the execution not yet there. */
  readonly #inTheMaking = new Set<string>();
  /** Folders that are made again right now. */
  readonly #bringing = new Map<string, Promise<void>>();

  constructor(parts: SourceFoldersParts) {
    this.#parts = parts;
  }

  /** Removes what nobody uses any more, then follows the ends of executions. */
  async start(): Promise<void> {
    const revision = await this.#parts.events.revision();
    await this.#sweep();
    this.#following = this.#follow(revision, this.#stop.signal);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#following;
  }

  /** Checks out of a mirror that holds the commit, and keeps the folder from being swept until `begin` has begun the execution that it is for. */
  async within<Result>(
    workspace: string,
    wish: CheckoutWish,
    held: Mirror,
    signal: AbortSignal,
    begin: (folder: string) => Promise<Result>,
  ): Promise<Result> {
    this.#inTheMaking.add(workspace);
    try {
      return await begin(await this.#parts.workspaces.make(workspace, wish, signal, held));
    } catch (error) {
      if (!(await this.#isUsed(workspace))) await this.#parts.workspaces.remove(workspace);
      throw error;
    } finally {
      this.#inTheMaking.delete(workspace);
    }
  }

  /** For an execution that begins again with this input. */
  async restore(input: unknown, signal: AbortSignal): Promise<void> {
    const wish = wishOf(input);
    if (wish !== undefined) await this.#bring(wish, signal);
  }

  /**
   * The same, with every path that leads into the source of the execution as it is on this server, where the source is
   * from here on: another server may have checked it out, and have been the first to begin the execution. Fails with
   * `checkout.failed` where the source is a folder that this machine does not have.
   */
  async here(input: Json, given: Json, signal: AbortSignal): Promise<Json> {
    const wish = wishOf(input);
    const from = wish === undefined ? locationOf(input) : wish.folder;
    if (from === undefined || !leadsInto(given, from)) return given;
    if (wish === undefined) {
      await assertThere(from);
      return given;
    }
    await this.#bring(wish, signal);
    return movedPaths(given, from, this.#parts.workspaces.folder(wish.workspace));
  }

  /** Once, however many tasks of the execution want it at the same time. */
  async #bring(wish: FolderWish, signal: AbortSignal): Promise<void> {
    const { workspace } = wish;
    const limit = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(BRING_LIMIT_MS)]);
    const bringing = this.#bringing.get(workspace) ?? this.#make(wish, limit);
    this.#bringing.set(workspace, bringing);
    try {
      await unlessStopped(bringing, signal);
    } finally {
      if (this.#bringing.get(workspace) === bringing) this.#bringing.delete(workspace);
    }
  }

  async #make(wish: FolderWish, signal: AbortSignal): Promise<void> {
    if (await this.#parts.workspaces.isThere(wish.workspace)) return;
    await this.#parts.workspaces.make(wish.workspace, wish, signal);
  }

  async #follow(since: number, signal: AbortSignal): Promise<void> {
    const { events, clock, log } = this.#parts;
    let revision = since;
    while (!signal.aborted) {
      try {
        const news = await events.after(revision, PAGE);
        for (const { kind, subject } of news) if (kind === 'execution.ended') await this.#ended(subject);
        revision = news.at(-1)?.revision ?? revision;
        if (news.length < PAGE) await events.waitAfter(revision, signal);
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ err: error }, 'cannot follow the ends of executions; trying again');
        // Aborted only by the close, which the loop looks for.
        await clock.sleep(RETRY_MS, signal).catch(() => undefined);
      }
    }
  }

  async #ended(execution: string): Promise<void> {
    const workspace = wishOf((await this.#parts.executions.get(execution))?.input)?.workspace;
    if (workspace !== undefined && !(await this.#isUsed(workspace))) {
      await this.#parts.workspaces.remove(workspace);
    }
  }

  async #sweep(): Promise<void> {
    const names = await this.#parts.workspaces.names();
    if (names.length === 0) return;
    const used = await this.#used();
    for (const name of names) if (!used.has(name)) await this.#parts.workspaces.remove(name);
  }

  async #isUsed(workspace: string): Promise<boolean> {
    if (this.#inTheMaking.has(workspace)) return true;
    const record = await this.#parts.executions.get(workspace);
    if (record === undefined) return false;
    return record.endedAtMs === undefined || (await this.#used(record.pipeline)).has(workspace);
  }

  async #used(pipeline?: string): Promise<ReadonlySet<string>> {
    const used = new Set<string>();
    const filter = { open: true, ...(pipeline !== undefined && { pipeline }) };
    for (let cursor: string | undefined; ; ) {
      const page = await this.#parts.executions.list(filter, {
        limit: PAGE,
        ...(cursor !== undefined && { cursor }),
      });
      for (const { input } of page.items) {
        const workspace = wishOf(input)?.workspace;
        if (workspace !== undefined) used.add(workspace);
      }
      if (page.cursor === undefined) return used;
      cursor = page.cursor;
    }
  }
}

interface FolderWish extends CheckoutWish {
  readonly workspace: string;
  /** Where it was when the execution began, on the server of then. */
  readonly folder: string;
}

function wishOf(input: unknown): FolderWish | undefined {
  const { data } = checkedOut.safeParse(input);
  if (data === undefined) return undefined;
  const { location, checkout } = data.trigger.source;
  const { options, workspace, ...rest } = checkout;
  const end = location.lastIndexOf(`/${workspace}/`) + 1 + workspace.length;
  return { ...rest, workspace, folder: location.slice(0, end), options: checkoutOf(options) };
}

function locationOf(input: Json): string | undefined {
  return inFolder.safeParse(input).data?.trigger.source.location;
}

async function assertThere(folder: string): Promise<void> {
  if (await isThere(folder)) return;
  throw new KilnError(
    'checkout.failed',
    `The source of this execution is the folder ${folder}, which is not on ${hostname()}. A folder is known to its own machine only: start the pipeline again through the server there, or register its repository (kiln pipeline watch), which every server checks out.`,
  );
}

/** A path in a repository, written with `/` and without a beginning or an end of it. */
export function pathWithin(directory: string, file: string): string {
  return path.posix.join(directory, file);
}

/** A folder of a repository as it is kept: relative, the root empty. Fails with `path.escapes`. */
export function folderInRepository(directory: string): string {
  const normal = path.posix.normalize(directory).replace(/\/+$/, '').replace(/^\.$/, '');
  if (!path.posix.isAbsolute(normal) && normal.split('/')[0] !== '..') return normal;
  throw new KilnError('path.escapes', `${directory} is no folder within a repository.`, {
    next: 'Give a relative path, such as services/shop.',
  });
}
