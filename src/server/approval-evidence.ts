/**
 * What an approval shows of the images that it asks about, gathered when somebody looks. It never fails: what cannot be
 * found out says so. Approvals are looked at again and again, so what cannot change is found out once.
 */
import type { Logger } from 'pino';
import { type ImageInsides, insideChanges, sizeOf, tagDifferences } from '../catalog/compare-images.ts';
import { resolveImage } from '../catalog/resolve-image.ts';
import { resolveEnvironment } from '../component/resolve-environment.ts';
import { configChanges, NO_CONFIG } from '../config/compare-snapshots.ts';
import { resolveRelease } from '../config/resolve-release.ts';
import { settingsChanges } from '../deploy/compare-settings.ts';
import { releaseRefusal } from '../deploy/release-choice.ts';
import type { Difference } from '../domain/difference.ts';
import { asKilnError, KilnError } from '../domain/errors.ts';
import { findingText, type Verdict } from '../domain/finding.ts';
import { type ComponentName, type EnvironmentName, environmentName, serviceKey } from '../domain/ids.ts';
import { type Image, latestChecks } from '../domain/image.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { ReleaseWithState } from '../domain/ports/releases.ts';
import type { Store } from '../domain/ports/store.ts';
import type {
  AskedRelease,
  ConfigChanges,
  InsideChanges,
  KnownEvidence,
  Listed,
  Part,
  ReleaseEvidence,
  Replaced,
  ScanEvidence,
} from '../domain/release-evidence.ts';
import { present } from '../http/views.ts';
import { KeptAnswers } from './kept-answers.ts';

export interface ApprovalEvidenceParts {
  readonly store: Pick<Store, 'images' | 'channels' | 'services' | 'releases'>;
  readonly insides: ImageInsides;
  readonly verdict: (image: Image) => Promise<Verdict>;
  readonly clock: Clock;
  readonly log: Pick<Logger, 'warn'>;
}

/** For one look, which a chat must have answered within three seconds; what takes longer is there at a later look. */
const LOOK_LIMIT_MS = 2_500;
const COMPARISON_PATIENCE_MS = 1_500;
const COMPARISON_LIMIT_MS = 120_000;
/** Shown of each list; `kiln images diff` has them all. */
const MOST_SHOWN = 50;
/** Looked into for one approval. */
const MOST_RELEASES = 50;
const FOR_EVER = { answerMs: Number.POSITIVE_INFINITY, failureMs: 60_000, most: 500 };
/** A name that leads nowhere is searched for in the whole catalogue: not at every look. */
const ONLY_FAILURES = { answerMs: 0, failureMs: 10_000, most: 100 };

/** Tags of what the evidence says of an image itself. */
const SHOWN_APART: ReadonlySet<string> = new Set(['version', 'created-at', 'git.sha']);

const NOT_LOOKED_INTO = `Of one approval, the first ${MOST_RELEASES} releases are looked into: see kiln plan.`;

interface Serving {
  readonly release: ReleaseWithState;
  /** Absent: it has been swept. */
  readonly image: Image | undefined;
  readonly stopped: boolean;
}

interface ReleaseChanges {
  readonly config: ConfigChanges;
  readonly settings: readonly Difference[];
}

export class ApprovalEvidence {
  readonly #parts: ApprovalEvidenceParts;
  readonly #named: KeptAnswers<Image>;
  readonly #compared: KeptAnswers<InsideChanges>;
  readonly #resolved: KeptAnswers<ReleaseChanges>;
  readonly #closing = new AbortController();
  /** Comparing reads whole images: one at a time. */
  #comparing: Promise<unknown> = Promise.resolve();

  constructor(parts: ApprovalEvidenceParts) {
    this.#parts = parts;
    this.#named = new KeptAnswers(parts.clock, ONLY_FAILURES);
    this.#compared = new KeptAnswers(parts.clock, FOR_EVER);
    this.#resolved = new KeptAnswers(parts.clock, FOR_EVER);
  }

  /** Of each image in each environment, in their order; it never rejects. */
  of(images: readonly string[], environments: readonly string[]): Promise<readonly ReleaseEvidence[]> {
    const everywhere = images.flatMap((image): AskedRelease[] =>
      environments.length === 0 ? [{ image }] : environments.map((environment) => ({ image, environment })),
    );
    return Promise.all(
      everywhere.map(async (asked, at) => {
        if (at >= MOST_RELEASES) return { asked, known: false, why: NOT_LOOKED_INTO };
        const evidence = this.#within(LOOK_LIMIT_MS, this.#gather(asked));
        return { asked, ...(await this.#part(evidence)) };
      }),
    );
  }

  async close(): Promise<void> {
    this.#closing.abort(new KilnError('aborted', 'The server is stopping.', { retryable: true }));
    await this.#comparing;
  }

  async #gather({ image: reference, environment: where }: AskedRelease): Promise<KnownEvidence> {
    const { store, verdict } = this.#parts;
    const image = await this.#named.get(reference, () => resolveImage(store, reference));
    const held = (await store.channels.list(image.component)).filter((move) => move.image === image.id);
    const ofImage = {
      image: evidentImage(image),
      channels: held.map(({ channel }) => channel),
      checks: latestChecks(image.checks).filter(({ kind }) => kind !== 'scan'),
      scan: await this.#part(scanOf(image, verdict)),
    };
    if (where === undefined) return { ...ofImage, replaces: { kind: 'unasked' } };
    const environment = environmentName(where);
    const { channel } = resolveEnvironment(image.definition, environment);
    const serving = await this.#serving(image.component, environment);
    const refusal =
      (await releaseRefusal(store.channels, image, environment, channel)) ??
      (await this.#unresolvable(image, environment, serving?.release));
    return {
      ...ofImage,
      ...present({ refused: refusal?.message }),
      ...(await this.#against(image, environment, serving)),
    };
  }

  async #serving(component: ComponentName, environment: EnvironmentName): Promise<Serving | undefined> {
    const { services, releases, images } = this.#parts.store;
    const state = await services.get(serviceKey(component, environment));
    if (state?.serving === undefined) return undefined;
    const release = await releases.get(component, environment, state.serving);
    if (release === undefined) {
      throw new KilnError(
        'not-found',
        `Release ${state.serving} serves in ${environment}, and is not known.`,
      );
    }
    return { release, image: await images.get(release.image), stopped: state.stopped };
  }

  async #against(
    image: Image,
    environment: EnvironmentName,
    serving: Serving | undefined,
  ): Promise<Pick<KnownEvidence, 'replaces' | 'tags' | 'inside' | 'config' | 'settings'>> {
    const changes = this.#releaseChanges(image, environment, serving?.release);
    const config = await this.#part(changes.then((found) => found.config));
    const settings = await this.#part(changes.then((found) => ({ items: found.settings })));
    if (serving === undefined) return { replaces: { kind: 'nothing', environment }, config };
    return {
      replaces: replacedBy(serving),
      ...(serving.image && {
        tags: tagDifferences(serving.image, image).filter(({ key }) => !SHOWN_APART.has(key)),
      }),
      inside: await this.#part(this.#inside(serving, image)),
      config,
      settings,
    };
  }

  /** What its configuration lacks there; undefined: nothing, or nothing that is known. */
  async #unresolvable(
    image: Image,
    environment: EnvironmentName,
    from: ReleaseWithState | undefined,
  ): Promise<KilnError | undefined> {
    const error = await this.#releaseChanges(image, environment, from).then(() => undefined, asKilnError);
    return error?.code === 'internal' ? undefined : error;
  }

  /** Fails as a deployment would: where a key is missing, or a template cannot be rendered. */
  #releaseChanges(
    image: Image,
    environment: EnvironmentName,
    from: ReleaseWithState | undefined,
  ): Promise<ReleaseChanges> {
    const question = `${image.id} in ${environment} after ${from?.number ?? 'nothing'}`;
    return this.#resolved.get(question, async () => {
      const to = resolveRelease(image, environment);
      return {
        config: configChanges(from?.config ?? NO_CONFIG, to.config),
        settings: from === undefined ? [] : settingsChanges(from, to),
      };
    });
  }

  async #inside({ release, image: from }: Serving, to: Image): Promise<InsideChanges> {
    if (from === undefined) throw notComparable(`the image of release ${release.number} has been swept`);
    const compared = this.#compared.get(`${from.id} to ${to.id}`, () => {
      const before = this.#comparing;
      const comparison = before.then(() => this.#compare(from, to));
      // Whoever asked hears of its failure; the next one begins all the same.
      this.#comparing = comparison.catch(() => undefined);
      return comparison;
    });
    return this.#within(COMPARISON_PATIENCE_MS, compared);
  }

  async #compare(from: Image, to: Image): Promise<InsideChanges> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(COMPARISON_LIMIT_MS)]);
    signal.throwIfAborted();
    const found = await insideChanges(this.#parts.insides, from, to, signal);
    if (found === undefined) throw notComparable('one of the two images is not kept as files here');
    return { files: first(found.files), packages: first(found.packages) };
  }

  async #within<Value>(limitMs: number, work: Promise<Value>): Promise<Value> {
    const over = new AbortController();
    const late = this.#parts.clock.sleep(limitMs, over.signal).then(
      () => {
        throw new KilnError('timeout', 'It is still being found out: look again in a while.');
      },
      // The work has ended before.
      () => work,
    );
    return Promise.race([work, late]).finally(() => over.abort());
  }

  async #part<Value extends object>(work: Promise<Value>): Promise<Part<Value>> {
    try {
      return { known: true, ...(await work) };
    } catch (thrown) {
      const error = asKilnError(thrown);
      if (error.code !== 'internal') return { known: false, why: error.message };
      this.#parts.log.warn({ error }, 'a part of the evidence for an approval was not found out');
      return { known: false, why: 'Finding it out failed; the log of the server says how.' };
    }
  }
}

function evidentImage(image: Image): KnownEvidence['image'] {
  const { id, component, version, createdAtMs } = image;
  return { id, component, version, ...commitOf(image), sizeBytes: sizeOf(image), createdAtMs };
}

function commitOf({ source, tags }: Image): { readonly commit?: string } {
  return present({ commit: source?.commit ?? tags['git.sha'] });
}

function replacedBy({ release, image, stopped }: Serving): Replaced {
  const { environment, number, version } = release;
  return {
    kind: 'release',
    environment,
    number,
    image: release.image,
    version,
    ...(image && { ...commitOf(image), sizeBytes: sizeOf(image) }),
    stopped,
  };
}

async function scanOf(image: Image, verdictOf: ApprovalEvidenceParts['verdict']): Promise<ScanEvidence> {
  const last = latestChecks(image.checks).find(({ kind }) => kind === 'scan');
  if (last === undefined) return { scanned: false };
  const { passed, blocking, waived, noted } = await verdictOf(image);
  return {
    scanned: true,
    passed,
    blocking: first(blocking.map(findingText)),
    waived: waived.length,
    noted: noted.length,
    atMs: last.atMs,
  };
}

function first<Item>(items: readonly Item[]): Listed<Item> {
  return { count: items.length, items: items.slice(0, MOST_SHOWN) };
}

function notComparable(why: string): KilnError {
  return new KilnError('target.unsupported', `They cannot be compared: ${why}.`);
}
