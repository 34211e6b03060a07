/**
 * The place where machine images are checked: each server group of the check is one machine, booted fresh, with the
 * group's process started in it; the component's own tests run in that same machine, beside the process. All of it is
 * there for one check and goes with it.
 */
import { asKilnError, KilnError } from '../../../domain/errors.ts';
import {
  type Digest,
  type Fence,
  type InstanceId,
  type ServerGroupName,
  serviceParts,
} from '../../../domain/ids.ts';
import type { CheckTarget } from '../../../domain/ports/check-target.ts';
import type { Clock } from '../../../domain/ports/clock.ts';
import type { LogLine, LogQuery, RunOnceResult } from '../../../domain/ports/target.ts';
import type { GroupObservation, GroupSpec, InstancePhase } from '../../../domain/server-group.ts';
import type { BootedMachine, MachineRoom } from './booted-machine.ts';
import { listenEnvironment } from './inner-environment.ts';

/** Longer than any check may take. */
const PROCESS_LIMIT_MS = 24 * 3600_000;
const LOG_LINES = 200;

export interface MachineTrialParts {
  readonly room: MachineRoom;
  /** The archive of a root filesystem, by the digest of its artifact. */
  readonly archiveOf: (artifact: Digest) => Promise<string>;
  readonly clock: Clock;
  /** None of its processes is started by the check: it is booted all the same. */
  readonly isIdle: boolean;
}

interface Group {
  readonly spec: GroupSpec;
  readonly machine: BootedMachine;
  readonly startedAtMs: number;
  readonly log: string[];
  /** Undefined while its process runs. */
  exitCode?: number;
}

export class MachineTrial implements CheckTarget {
  readonly #parts: MachineTrialParts;
  readonly #groups = new Map<ServerGroupName, Group>();
  readonly #closing = new AbortController();
  readonly #processes: Promise<void>[] = [];

  constructor(parts: MachineTrialParts) {
    this.#parts = parts;
  }

  async prepare(artifact: Digest, signal: AbortSignal): Promise<void> {
    const { archiveOf, isIdle, room } = this.#parts;
    await room.open(await archiveOf(artifact), signal);
    if (isIdle) await room.boot({ name: 'idle', listens: false, port: undefined, files: [] }, signal);
  }

  async ensure(spec: GroupSpec, _fence: Fence, _options: object, signal: AbortSignal): Promise<void> {
    if (this.#groups.has(spec.group)) return;
    const group = await this.#boot(spec, signal);
    this.#processes.push(this.#start(group));
  }

  async observe(name: ServerGroupName, signal: AbortSignal): Promise<GroupObservation | undefined> {
    const group = this.#groups.get(name);
    if (group === undefined) return undefined;
    const { startedAtMs } = group;
    const phase = await phaseOf(group, signal);
    return {
      group: name,
      instances: [{ id: instanceOf(name), ordinal: 0, phase, startedAtMs }],
      health: { kind: 'steady' },
    };
  }

  async runOnce(
    spec: GroupSpec,
    line: string,
    _key: string,
    _fence: Fence,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<RunOnceResult> {
    // A component of jobs alone has nothing that was started before.
    const { machine } = this.#groups.get(spec.group) ?? (await this.#boot(spec, signal));
    const { BASE_URL } = spec.environment;
    const own = BASE_URL === undefined ? {} : { BASE_URL: `http://127.0.0.1:${machine.listen.port}` };
    const environment = { ...environmentOf(spec), ...own };
    return machine.run({ line, environment, timeoutMs }, signal);
  }

  async *logs(groups: readonly ServerGroupName[], { tail }: LogQuery): AsyncGenerator<LogLine> {
    for (const name of groups) {
      const lines = this.#groups.get(name)?.log.slice(-tail) ?? [];
      for (const text of lines) yield { instance: instanceOf(name), text };
    }
  }

  /** Machines go together, with `close`. */
  async remove(name: ServerGroupName): Promise<void> {
    this.#groups.delete(name);
  }

  async removeVolumes(): Promise<void> {
    // They are folders of the machine, and go with it.
  }

  async close(): Promise<void> {
    this.#closing.abort(new KilnError('aborted', 'The check of the machine is over.'));
    await Promise.all(this.#processes);
    await this.#parts.room.close();
  }

  async #boot(spec: GroupSpec, signal: AbortSignal): Promise<Group> {
    const { process, group: name, files } = spec;
    const { listens, port } = process;
    const machine = await this.#parts.room.boot({ name, listens, port, files }, signal);
    const group: Group = { spec, machine, startedAtMs: this.#parts.clock.now(), log: [] };
    this.#groups.set(name, group);
    return group;
  }

  /** Never fails: that it could not be run is how it ended. */
  async #start(group: Group): Promise<void> {
    const { spec, machine, log } = group;
    const { process } = spec;
    const onLine = (text: string): void => {
      log.push(text);
      if (log.length > LOG_LINES) log.shift();
    };
    const folders = process.volumes.map(({ path }) => `mkdir -p ${shellWord(path)}\n`).join('');
    const environment = {
      ...environmentOf(spec),
      ...(process.listens ? listenEnvironment(machine) : {}),
    };
    const command = { line: folders + process.run, environment, timeoutMs: PROCESS_LIMIT_MS, onLine };
    try {
      group.exitCode = (await machine.run(command, this.#closing.signal)).exitCode;
    } catch (thrown) {
      if (!this.#closing.signal.aborted) onLine(asKilnError(thrown).message);
      group.exitCode = 1;
    }
  }
}

async function phaseOf({ exitCode, machine, spec }: Group, signal: AbortSignal): Promise<InstancePhase> {
  if (exitCode !== undefined) return { kind: 'exited', exitCode, signal: null };
  const endpoint = spec.process.listens ? await machine.endpoint(signal) : undefined;
  return endpoint === undefined ? { kind: 'running' } : { kind: 'running', endpoint };
}

function instanceOf(group: ServerGroupName): InstanceId {
  return `${group}-machine` as InstanceId;
}

function environmentOf({ environment, process, service, version }: GroupSpec): Record<string, string> {
  const { component, environment: name } = serviceParts(service);
  return {
    ...environment,
    KILN_COMPONENT: component,
    KILN_VERSION: version,
    KILN_ENVIRONMENT: name,
    KILN_PROCESS: process.name,
  };
}

function shellWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
