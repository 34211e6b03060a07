/**
 * Requests per second and p99 latency of the built-in router beside HAProxy's, on the same backend in the same run,
 * and server changes per second through the HAProxy driver. Needs the Debian packages haproxy and wrk.
 *
 *   node bench/router.ts [--seconds N] [--json]
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { InstanceId, ProcessName, ServerGroupName, ServiceKey } from '../src/domain/ids.ts';
import type { Router } from '../src/domain/ports/router.ts';
import type { RoutedEndpoint, ServiceTable } from '../src/domain/routing.ts';
import { BuiltInRouter } from '../src/routing/built-in/driver.ts';
import { HaproxyRouter } from '../src/routing/haproxy/driver.ts';
import { systemClock } from '../src/server/system-clock.ts';
import { freePort } from '../test/free-port.ts';
import { atLeast, atMost, median, type Row, report } from './result.ts';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '4' }, json: { type: 'boolean' } },
});
const SECONDS = Number(values.seconds);
const ROUNDS = 5;
const CONNECTIONS = 32;
const CHANGED_SERVERS = 500;
const TARGET = { share: 0.4, p99: 4, changesPerSecond: 1_000 };

const directory = mkdtempSync(path.join(tmpdir(), 'kiln-bench-router-'));
const signal = AbortSignal.timeout(600_000);
const log = { info: () => undefined, warn: console.warn };

interface Figures {
  readonly requestsPerSecond: number;
  readonly p99Ms: number;
}

/** The fastest backend at hand, so that the routers are what is measured. */
async function startBackend() {
  const port = await freePort();
  const file = path.join(directory, 'backend.cfg');
  writeFileSync(
    file,
    `global
  nbthread 1
defaults
  mode http
  timeout client 1m
  timeout server 1m
  timeout connect 5s
frontend backend
  bind 127.0.0.1:${port}
  http-request return status 200 content-type text/plain string "a small answer of a fast backend\\n"
`,
  );
  const child = spawn('haproxy', ['-f', file], { stdio: 'ignore' });
  return { port, stop: () => child.kill('SIGKILL') };
}

function endpoint(name: string, port: number): RoutedEndpoint {
  return { instance: name as InstanceId, endpoint: { host: '127.0.0.1', port }, draining: false };
}

function table(sequence: number, endpoints: readonly RoutedEndpoint[]): ServiceTable {
  const process = 'web' as ProcessName;
  return {
    service: 'bench@test/local' as ServiceKey,
    generation: { fence: 1, sequence },
    routes: [{ host: '127.0.0.1', path: '/', process }],
    pools: [
      {
        process,
        health: { path: '/', intervalMs: 1_000, timeoutMs: 2_000, startupMs: 10_000 },
        drainMs: 1_000,
        holdMs: 5_000,
        groups: [{ group: 'bench-v001' as ServerGroupName, weight: 100, endpoints }],
      },
    ],
  };
}

function measure(port: number): Figures {
  const output = execFileSync('wrk', [
    '-t1',
    `-c${CONNECTIONS}`,
    `-d${SECONDS}s`,
    '--latency',
    `http://127.0.0.1:${port}/`,
  ]).toString();
  if (/Non-2xx|Socket errors/.test(output)) throw new Error(`requests failed:\n${output}`);
  const [, amount = '', unit = ''] = /99%\s+([\d.]+)(us|ms|s)/.exec(output) ?? [];
  const perUnit: Record<string, number> = { us: 0.001, ms: 1, s: 1_000 };
  return {
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]),
    p99Ms: Number(amount) * (perUnit[unit] ?? Number.NaN),
  };
}

async function compareRouters(): Promise<Row[]> {
  const backend = await startBackend();
  const ports = { haproxy: await freePort(), builtIn: await freePort() };
  const routers: Record<keyof typeof ports, Router> = {
    haproxy: new HaproxyRouter({
      program: 'haproxy',
      stateDirectory: path.join(directory, 'haproxy'),
      listen: { host: '127.0.0.1', port: ports.haproxy },
      clock: systemClock,
      log,
    }),
    builtIn: new BuiltInRouter({
      nodePath: process.execPath,
      entry: path.resolve(import.meta.dirname, '../src/routing/built-in/main.ts'),
      stateDirectory: path.join(directory, 'built-in'),
      listen: { host: '127.0.0.1', port: ports.builtIn },
      build: 'bench',
      log,
    }),
  };
  try {
    for (const [name, router] of Object.entries(routers)) {
      await router.start(signal);
      await router.apply(table(1, [endpoint('bench-v001-0', backend.port)]), signal);
      const { status } = await router.probe('127.0.0.1', '/', signal);
      if (status !== 200) throw new Error(`${name} answers ${status}`);
    }
    const figures: Record<keyof typeof ports, Figures[]> = { haproxy: [], builtIn: [] };
    for (let round = 0; round < ROUNDS; round++) {
      figures.haproxy.push(measure(ports.haproxy));
      figures.builtIn.push(measure(ports.builtIn));
    }
    return comparisons(figures);
  } finally {
    for (const router of Object.values(routers)) {
      await router.stop(signal);
      await router.close();
    }
    backend.stop();
  }
}

function comparisons(figures: { haproxy: Figures[]; builtIn: Figures[] }): Row[] {
  const rate = (all: Figures[]) => median(all.map((each) => each.requestsPerSecond));
  const p99 = (all: Figures[]) => median(all.map((each) => each.p99Ms));
  return [
    {
      what: 'built-in router, requests',
      value: rate(figures.builtIn),
      unit: '/s',
      peer: { name: 'HAProxy', value: rate(figures.haproxy) },
      goal: atLeast(TARGET.share, 'ratio'),
    },
    {
      what: 'built-in router, p99',
      value: p99(figures.builtIn),
      unit: 'ms',
      peer: { name: 'HAProxy', value: p99(figures.haproxy) },
      goal: atMost(TARGET.p99, 'ratio'),
    },
  ];
}

/** Adds and removes many servers of one service, through the port as everybody does. */
async function changeServers(): Promise<Row[]> {
  const router = new HaproxyRouter({
    program: 'haproxy',
    stateDirectory: path.join(directory, 'changes'),
    listen: { host: '127.0.0.1', port: await freePort() },
    clock: systemClock,
    log,
  });
  try {
    await router.start(signal);
    const endpoints = Array.from({ length: CHANGED_SERVERS }, (_, n) =>
      endpoint(`bench-v001-${n}`, 20_000 + n),
    );
    const startMs = performance.now();
    await router.apply(table(1, endpoints), signal);
    const addedMs = performance.now();
    await router.apply(
      table(
        2,
        endpoints.map((each) => ({ ...each, draining: true })),
      ),
      signal,
    );
    const drainedMs = performance.now();
    await router.apply(table(3, []), signal);
    const removedMs = performance.now();
    const perSecond = (fromMs: number, toMs: number) => CHANGED_SERVERS / ((toMs - fromMs) / 1_000);
    const changes = [
      ['servers added', perSecond(startMs, addedMs)],
      ['servers drained', perSecond(addedMs, drainedMs)],
      ['servers removed', perSecond(drainedMs, removedMs)],
    ] as const;
    // One at a time, each durable and acknowledged before the next.
    const singles = 200;
    const singleMs = performance.now();
    for (let n = 0; n < singles; n++) await router.apply(table(4 + n, endpoints.slice(0, n % 2)), signal);
    const rate = singles / ((performance.now() - singleMs) / 1_000);
    const goal = atLeast(TARGET.changesPerSecond);
    return [
      ...changes.map(
        ([what, value]) => ({ what: `HAProxy driver, ${what}`, value, unit: '/s', goal }) as const,
      ),
      { what: 'HAProxy driver, whole tables one at a time', value: rate, unit: '/s' },
    ];
  } finally {
    await router.stop(signal);
    await router.close();
  }
}

/** Undefined: there. */
function absent(): string | undefined {
  for (const program of ['haproxy', 'wrk']) {
    if (spawnSync(program, ['-v']).error !== undefined)
      return `${program} is not installed (Debian: ${program})`;
  }
  return undefined;
}

try {
  const missing = absent();
  if (missing === undefined) report([...(await compareRouters()), ...(await changeServers())]);
  else report([{ what: 'routers', missing }]);
} finally {
  await sleep(100);
  rmSync(directory, { recursive: true, force: true });
}
