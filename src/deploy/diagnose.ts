/** Why a release did not get healthy, as far as can be seen from outside: its health path's answer, its last words. */
import type { ReleaseNumber, ServerGroupName } from '../domain/ids.ts';
import type { LogLine, Target } from '../domain/ports/target.ts';
import { targetOf } from './group-spec.ts';
import type { DeployParts } from './parts.ts';
import {
  type GroupWorld,
  groupsOf,
  type InstanceWorld,
  isAlive,
  isReady,
  processOf,
  releaseOf,
  type World,
} from './planner/world.ts';

const LOG_LINES = 10;
const LOG_LIMIT_MS = 2_000;
const LINE_LENGTH = 300;

/** Lines for people; empty when nothing is wrong with what runs. */
export async function diagnose(
  parts: DeployParts,
  world: World,
  number: ReleaseNumber,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const said: string[] = [];
  for (const group of groupsOf(world, number)) {
    const ill = group.instances
      .filter((one) => !isReady(world, group, one))
      .sort((a, b) => Number(a.hasBeenReady) - Number(b.hasBeenReady) || a.startedAtMs - b.startedAtMs)[0];
    if (group.wish === undefined || (ill === undefined && group.health.kind === 'steady')) continue;
    if (ill !== undefined && isAlive(ill)) said.push(...(await askHealth(world, group, ill, signal)));
    said.push(...(await lastWords(targetOf(parts, group.wish.target), group.name, ill, signal)));
  }
  return said;
}

async function askHealth(
  world: World,
  group: GroupWorld,
  instance: InstanceWorld,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { wish } = group;
  const process = wish && processOf(releaseOf(world, wish.release), wish.process);
  if (process?.health === undefined || instance.phase.kind !== 'running') return [];
  const { endpoint } = instance.phase;
  if (endpoint === undefined) return [`${instance.id} does not listen on the PORT that it was given.`];
  const { path, timeoutMs } = process.health;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const url = `http://${endpoint.host}:${endpoint.port}${path}`;
  try {
    const answer = await fetch(url, { signal: limit, redirect: 'manual' });
    await answer.body?.cancel();
    return [`${instance.id} answers ${path} with status ${answer.status}.`];
  } catch {
    // That it does not answer is what is to be said; why is in its own log.
    signal.throwIfAborted();
    return [`${instance.id} does not answer ${path} within ${timeoutMs / 1000} s.`];
  }
}

async function lastWords(
  target: Target,
  group: ServerGroupName,
  ill: InstanceWorld | undefined,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(LOG_LIMIT_MS)]);
  const lines: LogLine[] = [];
  try {
    for await (const line of target.logs([group], { tail: LOG_LINES, follow: false }, limit))
      lines.push(line);
  } catch {
    // A log that cannot be read must not keep the deployment from going back.
    signal.throwIfAborted();
  }
  // One that was just started in the place of another has said nothing yet: then what was said before it.
  const own = lines.filter((line) => line.instance === ill?.id);
  const told = (own.length > 0 ? own : lines).slice(-LOG_LINES);
  const who = own.length > 0 && ill !== undefined ? ill.id : group;
  const texts = told.map(({ text }) => `  │ ${text.slice(0, LINE_LENGTH)}`);
  return texts.length === 0 ? [] : [`The last lines of ${who}:`, ...texts];
}
