/**
 * Scans: of one image by all there is (advisories and scanners), or of every image by the advisories alone, which
 * finds what has become known against images that were baked, and run, long ago.
 */
import { asKilnError, KilnError } from '../domain/errors.ts';
import { findingText, judge, type Severity, type Verdict } from '../domain/finding.ts';
import { type ImageId, type ServerGroupName, serviceKey } from '../domain/ids.ts';
import { type CheckResult, type Image, latestChecks } from '../domain/image.ts';
import type { Clock } from '../domain/ports/clock.ts';
import type { Store } from '../domain/ports/store.ts';
import { notHere } from './openable.ts';
import { AdvisoryIndex } from './osv/match.ts';
import { readAdvisories } from './osv/read-advisories.ts';
import { packagesIn } from './sbom/read-packages.ts';
import type { Sboms } from './sbom/sboms.ts';
import { runScanner, type ScannerHost, type ScannerSpec } from './scanners/scanner.ts';

export interface ScannedImage {
  readonly image: Image;
  readonly verdict: Verdict;
  /** Server groups that run it. */
  readonly groups: readonly ServerGroupName[];
}

/** `failed`: something is worse than the policy allows; `error`: it could not be found out. */
export interface ScanRun {
  readonly id: string;
  readonly state: 'running' | 'passed' | 'failed' | 'error';
  /** So many were looked at. */
  readonly scanned: number;
  /** Of these, those that could not be looked into here. */
  readonly skipped: number;
  readonly advisories: number;
  /** Those with findings; of a single image, that one. */
  readonly images: readonly ScannedImage[];
  readonly startedAtMs: number;
  readonly endedAtMs?: number;
  readonly failure?: KilnError;
}

export interface ScansParts {
  readonly store: Pick<Store, 'images' | 'findings' | 'services' | 'releases'>;
  readonly sboms: Sboms;
  readonly clock: Clock;
  readonly host: ScannerHost;
  readonly scanners: readonly ScannerSpec[];
  /** Folder of advisories, where none is named. */
  readonly advisories: string | undefined;
  /** What is as bad as this, or worse, does not pass. */
  readonly worst: Severity;
  readonly newId: () => string;
}

export interface ScanRequest {
  /** Undefined: every image. */
  readonly image?: Image;
  readonly advisories?: string;
  readonly actor: string;
}

const ADVISORIES = 'osv';
const RUNS_KEPT = 50;
const LIMIT_MS = 3600_000;
const PAGE = 200;
const FAILURES_KEPT = 20;

type Facts = Pick<ScanRun, 'scanned' | 'skipped' | 'advisories' | 'images'>;
type Groups = ReadonlyMap<ImageId, readonly ServerGroupName[]>;

export class Scans {
  readonly #parts: ScansParts;
  readonly #runs = new Map<string, ScanRun>();
  readonly #ends = new Map<string, Promise<void>>();
  readonly #closing = new AbortController();

  constructor(parts: ScansParts) {
    this.#parts = parts;
  }

  start(request: ScanRequest): ScanRun {
    const id = this.#parts.newId();
    const run: ScanRun = {
      id,
      state: 'running',
      scanned: 0,
      skipped: 0,
      advisories: 0,
      images: [],
      startedAtMs: this.#parts.clock.now(),
    };
    this.#runs.set(id, run);
    this.#ends.set(id, this.#carryOut(run, request));
    for (const [old, { state }] of this.#runs) {
      if (this.#runs.size <= RUNS_KEPT) break;
      if (state === 'running') continue;
      this.#runs.delete(old);
      this.#ends.delete(old);
    }
    return run;
  }

  /** As it is when it has ended, or after `timeoutMs`. */
  async wait(id: string, timeoutMs: number, signal: AbortSignal): Promise<ScanRun> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const over = new Promise<void>((resolve) => {
      limit.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([this.#ends.get(id), over]);
    signal.throwIfAborted();
    const run = this.#runs.get(id);
    if (run !== undefined) return run;
    throw new KilnError('not-found', `There is no scan ${id}.`, {
      next: 'Scans are known until the server restarts; findings stay with the images.',
    });
  }

  /** What is known against an image, judged as of now. */
  async verdict(image: Image): Promise<Verdict> {
    const { store, worst, clock } = this.#parts;
    const [sets, waivers] = await Promise.all([store.findings.of(image.id), store.findings.waivers()]);
    const findings = sets.flatMap((set) => set.findings);
    return judge(image.component, findings, waivers, worst, clock.now());
  }

  async close(): Promise<void> {
    this.#closing.abort(new KilnError('aborted', 'The server is stopping.', { retryable: true }));
    await Promise.all(this.#ends.values());
  }

  async #carryOut(run: ScanRun, request: ScanRequest): Promise<void> {
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(LIMIT_MS)]);
    const { clock } = this.#parts;
    try {
      const facts = await this.#scan(request, signal);
      const passed = facts.images.every(({ verdict }) => verdict.passed);
      const state = passed ? 'passed' : 'failed';
      this.#runs.set(run.id, { ...run, ...facts, state, endedAtMs: clock.now() });
    } catch (thrown) {
      const failure = asKilnError(thrown);
      this.#runs.set(run.id, { ...run, state: 'error', failure, endedAtMs: clock.now() });
    }
  }

  async #scan(request: ScanRequest, signal: AbortSignal): Promise<Facts> {
    const folder = request.advisories ?? this.#parts.advisories;
    const { image, actor } = request;
    const { scanners } = this.#parts;
    if (folder === undefined && (image === undefined || scanners.length === 0)) {
      throw new KilnError('input.invalid', 'There is nothing to scan with.', {
        next: 'Give a folder of advisories: kiln scan --advisories DIR; or name `scan` in settings.yaml.',
      });
    }
    const index = folder === undefined ? new AdvisoryIndex() : await readAdvisories(folder, signal);
    const groups = await this.#groups();
    const advisories = index.count;
    if (image === undefined) return { advisories, ...(await this.#scanAll(index, groups, actor, signal)) };
    if (folder !== undefined) await this.#matchAdvisories(image, index, actor, signal);
    for (const scanner of scanners) await this.#runScanner(image, scanner, actor, signal);
    return { advisories, scanned: 1, skipped: 0, images: [await this.#judged(image, groups, actor)] };
  }

  async #scanAll(
    index: AdvisoryIndex,
    groups: Groups,
    actor: string,
    signal: AbortSignal,
  ): Promise<Omit<Facts, 'advisories'>> {
    const images: ScannedImage[] = [];
    let [scanned, skipped] = [0, 0];
    for await (const image of this.#allImages()) {
      signal.throwIfAborted();
      scanned += 1;
      if ((await this.#parts.sboms.openable(image)) === undefined) {
        skipped += 1;
        continue;
      }
      await this.#matchAdvisories(image, index, actor, signal);
      const judged = await this.#judged(image, groups, actor);
      const { blocking, waived, noted } = judged.verdict;
      if (blocking.length + waived.length + noted.length > 0) images.push(judged);
    }
    return { scanned, skipped, images };
  }

  async #matchAdvisories(
    image: Image,
    index: AdvisoryIndex,
    actor: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, sboms, clock } = this.#parts;
    const findings = index.match(packagesIn(await sboms.of(image, signal)));
    await store.findings.put(image.id, ADVISORIES, findings, { actor, atMs: clock.now() });
  }

  async #runScanner(image: Image, scanner: ScannerSpec, actor: string, signal: AbortSignal): Promise<void> {
    const { store, sboms, clock, host } = this.#parts;
    const artifact = await sboms.openable(image);
    if (artifact === undefined) throw notHere(image, 'Scan it where it is kept.');
    const subject = { digest: artifact.digest, sbom: await sboms.of(image, signal) };
    const findings = await runScanner(host, scanner, subject, signal);
    await store.findings.put(image.id, scanner.name, findings, { actor, atMs: clock.now() });
  }

  /** The verdict becomes the image's `scan` check, where it says something new. */
  async #judged(image: Image, groups: Groups, actor: string): Promise<ScannedImage> {
    const { store, clock, newId } = this.#parts;
    const verdict = await this.verdict(image);
    const atMs = clock.now();
    const result: CheckResult = { id: newId(), kind: 'scan', where: 'image', atMs, ...countsOf(verdict) };
    const known = await store.images.get(image.id);
    const last = latestChecks(known?.checks ?? []).find(({ kind }) => kind === 'scan');
    if (last === undefined || !saysTheSame(last, result)) {
      await store.images.recordCheck(image.id, result, { actor, atMs });
    }
    return { image, verdict, groups: groups.get(image.id) ?? [] };
  }

  async #groups(): Promise<Groups> {
    const { services, releases } = this.#parts.store;
    const found = new Map<ImageId, ServerGroupName[]>();
    for (const { component, environment } of await services.list()) {
      for (const group of await services.groups(serviceKey(component, environment))) {
        const release = await releases.get(component, environment, group.release);
        if (release === undefined) continue;
        found.set(release.image, [...(found.get(release.image) ?? []), group.name]);
      }
    }
    return found;
  }

  async *#allImages(): AsyncIterable<Image> {
    let cursor: string | undefined;
    do {
      const request = cursor === undefined ? { limit: PAGE } : { limit: PAGE, cursor };
      const page = await this.#parts.store.images.list({}, request);
      yield* page.items;
      cursor = page.cursor;
    } while (cursor !== undefined);
  }
}

function countsOf({ passed, blocking, waived, noted }: Verdict) {
  return {
    passed,
    passedCount: waived.length + noted.length,
    failedCount: blocking.length,
    failures: blocking.slice(0, FAILURES_KEPT).map(findingText),
  };
}

function saysTheSame(a: CheckResult, b: CheckResult): boolean {
  return (
    a.passed === b.passed &&
    a.passedCount === b.passedCount &&
    a.failedCount === b.failedCount &&
    a.failures.join('\n') === b.failures.join('\n')
  );
}
