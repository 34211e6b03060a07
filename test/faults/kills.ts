/**
 * Routers and instances killed under load. What may fail is what nobody could serve, and no more:
 *
 * - a request in flight on what was killed is cut: at most as many as there were connections open at the kill, and
 *   those that reached it between the kill and its end;
 * - while no router runs, and only then, a new connection is refused;
 * - nothing fails before the kill, and nothing that is begun after the router is back;
 * - with a router, no failure is an answer: neither an error page nor another release's. For an instance, the
 *   router says 502 to whoever waited for the dead one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { processesOf, until } from '../e2e/kiln.ts';
import type { FailedRequest, LoadReport } from '../e2e/load-client.ts';
import { killQuietly } from '../kill-quietly.ts';
import type { CrashJourney } from './crash-journey.ts';
import type { ServiceView } from './crash-kiln.ts';

/** Takes long enough that there is always something in flight. */
const SLOW = '/slow';
const CUT = /^(?:error (?:ECONNRESET|EPIPE)|closed without an answer|short body|connect ECONNRESET)$/;
const REFUSED = 'connect ECONNREFUSED';
/** Load goes on for this long after all is well again: nothing of it may fail. */
const AFTERWARDS_MS = 300;

interface Kill {
  readonly atMs: number;
  /** By then none of the killed processes was left. */
  readonly goneAtMs: number;
}

/** Says how many requests failed, which is seldom none. */
export async function killRouter(journey: CrashJourney, random: () => number, when: string): Promise<number> {
  const { crash } = journey;
  const before = await journey.verify(`before ${when}`);
  const address = await crash.address();
  const load = await journey.startLoad(SLOW);
  await sleep(random() * 300);
  const kill = await killAll(await crash.routerPids());
  await until('another router serves', async () => {
    const answer = await crash.kiln.ask(crash.host).catch(() => undefined);
    return answer?.status === 200;
  });
  const backAtMs = Date.now();
  const after = await journey.verify(`after ${when}`);
  await sleep(AFTERWARDS_MS);
  const report = await journey.stopLoad(load);
  const refused = report.failedRequests.filter(({ why }) => why === REFUSED);
  const others = report.failedRequests.filter(({ why }) => why !== REFUSED);
  expect(
    refused.filter((one) => one.endedAtMs < kill.atMs || one.startedAtMs > backAtMs),
    `${when}: refused while a router ran`,
  ).toEqual([]);
  expectInFlightOnly(others, CUT, kill, report, when);
  expect(Object.keys(report.answers), when).toEqual([String(after.serving?.release)]);
  expect(await crash.address()).toBe(address);
  expect(traffic(after)).toEqual(traffic(before));
  return report.failed;
}

export async function killInstance(journey: CrashJourney, random: () => number, when: string): Promise<void> {
  const { crash } = journey;
  const before = await journey.verify(`before ${when}`);
  const web = before.groups.find((group) => group.process === 'web' && group.weight > 0);
  const size = web?.instances.length ?? 0;
  const victim = web?.instances[Math.floor(random() * size)]?.id ?? '';
  const load = await journey.startLoad(SLOW);
  await sleep(random() * 300);
  const pids = (await processesOf(`KILN_INSTANCE=${victim}\0`)).map(({ pid }) => pid);
  const kill = await killAll(pids);
  await until('it has been replaced', async () => {
    const service = await crash.service();
    const group = service?.groups.find((one) => one.name === web?.name);
    const ids = group?.instances.filter((one) => one.ready).map((one) => one.id) ?? [];
    return ids.length === size && !ids.includes(victim);
  });
  await journey.verify(`after ${when}`);
  await sleep(AFTERWARDS_MS);
  const report = await journey.stopLoad(load);
  expectInFlightOnly(report.failedRequests, /^status 502$/, kill, report, when);
  expect(Object.keys(report.answers).sort(), when).toEqual(expect.arrayContaining([String(web?.release)]));
}

/**
 * Each was begun before what it was on was gone. Of those begun before the kill there are no more than there were
 * connections; the others found what was already dying.
 */
function expectInFlightOnly(
  failed: readonly FailedRequest[],
  how: RegExp,
  kill: Kill,
  { mostOpen }: LoadReport,
  when: string,
): void {
  const wrong = failed.filter(
    ({ why, startedAtMs, endedAtMs }) =>
      !how.test(why) || endedAtMs < kill.atMs || startedAtMs > kill.goneAtMs,
  );
  expect(wrong, `${when}, gone from ${kill.atMs} to ${kill.goneAtMs}`).toEqual([]);
  const inFlight = failed.filter(({ startedAtMs }) => startedAtMs < kill.atMs);
  expect(inFlight.length, when).toBeLessThanOrEqual(mostOpen);
}

async function killAll(pids: readonly number[]): Promise<Kill> {
  expect(pids).not.toEqual([]);
  const atMs = Date.now();
  for (const pid of pids) killQuietly(pid, 'SIGKILL');
  await until('the killed are gone', async () => !pids.some(isAlive));
  return { atMs, goneAtMs: Date.now() };
}

/** Who gets traffic, and how much of it. */
function traffic({ groups }: ServiceView): unknown {
  return groups.map(({ name, weight, instances }) => [name, weight, instances.map((one) => one.id)]);
}

/** A zombie is not alive, but while threads of it are ending its sockets are still open. */
function isAlive(pid: number): boolean {
  try {
    const isZombie = /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    return !isZombie || readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    return false; // it has been reaped
  }
}
