/** How pipelines fare, from what is stored of their executions and of their components' deployments. */
import type { Deployment } from '../../domain/deployment.ts';
import { componentName, isName } from '../../domain/ids.ts';
import type { Clock } from '../../domain/ports/clock.ts';
import type { DeploymentStore } from '../../domain/ports/deployments.ts';
import type { ExecutionHistoryStore, ExecutionSummary } from '../../domain/ports/execution-history.ts';
import type { ExecutionStore } from '../../domain/ports/executions.ts';
import type { ImageStore } from '../../domain/ports/images.ts';
import type { ReleaseStore } from '../../domain/ports/releases.ts';
import type { Machines } from '../executor/machines.ts';
import { replay } from '../executor/stored-state.ts';
import { OUTCOME_UNKNOWN } from '../task.ts';
import { type Dora, dora, type LiveDeployment } from './dora.ts';
import { type Durations, durationsOf } from './durations.ts';
import { type FlakyStep, flakySteps, type Ran } from './flaky-steps.ts';
import { isFailure, type Standing, standingOf } from './standing.ts';

const LOOKED_AT = 30;
const LOOKED_INTO = 60;
const RUNS_KNOWN = 1_000;
const PAGE = 200;
const DAY_MS = 86_400_000;
const COMMITTED_AT = 'git.committed-at';

export interface PipelineOverview {
  readonly pipeline: string;
  readonly standing: Standing;
  readonly failuresInRow: number;
  readonly durations?: Durations;
  /** Newest first. */
  readonly recent: readonly ExecutionSummary[];
}

export interface PipelineReport extends PipelineOverview {
  readonly flakySteps: readonly FlakyStep[];
  readonly dora: Dora;
}

export interface HealthParts {
  readonly history: ExecutionHistoryStore;
  readonly executions: ExecutionStore;
  readonly deployments: Pick<DeploymentStore, 'list'>;
  readonly releases: Pick<ReleaseStore, 'get'>;
  readonly images: Pick<ImageStore, 'get'>;
  readonly machines: Machines;
  readonly clock: Clock;
}

export class PipelineHealth {
  readonly #parts: HealthParts;
  /** Of executions that have ended, which never change; in order of last use. */
  readonly #runs = new Map<string, Ran>();

  constructor(parts: HealthParts) {
    this.#parts = parts;
  }

  async all(): Promise<readonly PipelineOverview[]> {
    const recent = await this.#parts.history.newest(LOOKED_AT);
    return [...Map.groupBy(recent, ({ pipeline }) => pipeline)].map(([pipeline, some]) =>
      overview(pipeline, some),
    );
  }

  /** Of a pipeline without any execution too: all is unknown then. */
  async of(pipeline: string, days: number): Promise<PipelineReport> {
    const recent = await this.#parts.history.newest(LOOKED_INTO, pipeline);
    const runs: Ran[] = [];
    for (const summary of recent) if (summary.endedAtMs !== undefined) runs.push(await this.#ran(summary));
    const nowMs = this.#parts.clock.now();
    const fromMs = nowMs - days * DAY_MS;
    return {
      ...overview(pipeline, recent.slice(0, LOOKED_AT)),
      flakySteps: flakySteps(runs),
      dora: dora(await this.#deployments(pipeline, fromMs), fromMs, nowMs),
    };
  }

  async #ran(summary: ExecutionSummary): Promise<Ran> {
    const known = this.#runs.get(summary.id) ?? (await this.#look(summary));
    this.#runs.delete(summary.id);
    this.#runs.set(summary.id, known);
    const [oldest] = this.#runs.keys();
    if (this.#runs.size > RUNS_KNOWN && oldest !== undefined) this.#runs.delete(oldest);
    return known;
  }

  async #look({ id, after, status, error, endedAtMs = 0 }: ExecutionSummary): Promise<Ran> {
    const { executions, machines } = this.#parts;
    const record = await executions.get(id);
    // Swept since it was listed.
    if (record === undefined) return { execution: id, atMs: endedAtMs, tasks: [] };
    const machine = await machines.get(record.definition);
    const { tasks, last } = await replay(machine, record, await executions.events(id));
    return {
      execution: id,
      atMs: endedAtMs,
      tasks,
      ...(isFailure(status) && error !== OUTCOME_UNKNOWN && last && { failedIn: last.state }),
      ...(after !== undefined && record.begin !== undefined && { goesOnFrom: after }),
    };
  }

  /** To live environments, back to the window's beginning and one page further: what was first is seen with that. */
  async #deployments(component: string, fromMs: number): Promise<readonly LiveDeployment[]> {
    if (!isName(component)) return [];
    const { deployments } = this.#parts;
    const found: LiveDeployment[] = [];
    for (let cursor: string | undefined, isLast = false; ; ) {
      const filter = { component: componentName(component) };
      const page = await deployments.list(filter, { limit: PAGE, ...(cursor !== undefined && { cursor }) });
      for (const one of page.items) {
        if (!one.environment.startsWith('live/')) continue;
        const { startedAtMs } = one.decisions;
        const isRecent = (one.endedAtMs ?? 0) >= fromMs;
        const committedAtMs = isRecent ? await this.#committedAtMs(one) : undefined;
        found.push({
          ...one,
          ...(startedAtMs !== undefined && { startedAtMs }),
          ...(committedAtMs !== undefined && { committedAtMs }),
        });
      }
      ({ cursor } = page);
      if (cursor === undefined || isLast) return found;
      isLast = (page.items.at(-1)?.createdAtMs ?? 0) < fromMs;
    }
  }

  async #committedAtMs({ component, environment, to }: Deployment): Promise<number | undefined> {
    const release = await this.#parts.releases.get(component, environment, to);
    const image = release && (await this.#parts.images.get(release.image));
    const atMs = Date.parse(image?.tags[COMMITTED_AT] ?? '');
    return Number.isNaN(atMs) ? undefined : atMs;
  }
}

function overview(pipeline: string, recent: readonly ExecutionSummary[]): PipelineOverview {
  const ended = recent.filter(({ endedAtMs }) => endedAtMs !== undefined);
  const durations = durationsOf(
    ended
      // One that went on from a failure did only a part.
      .filter(({ status, after }) => status === 'SUCCEEDED' && after === undefined)
      .map(({ createdAtMs, endedAtMs = createdAtMs }) => endedAtMs - createdAtMs),
  );
  const standing = standingOf(ended.map(({ status }) => status));
  return { pipeline, ...standing, ...(durations && { durations }), recent };
}
