/** What a container's state means for an instance. Pure. */
import { describeExit, exitStatus } from '../exit-status.ts';
import type { EndCause, EngineState } from '../instance-engine.ts';
import type { Container } from './containers.ts';

export interface Circumstances {
  /** This server is about to start it. */
  readonly launching: boolean;
  /** It ended because it was asked to. */
  readonly stopped: boolean;
  readonly listens: 'yes' | 'no' | 'unknown';
  /** Of the machine as it runs now. */
  readonly bootId: string;
  readonly nowMs: number;
}

const PORT_TAKEN = /port is already allocated|address already in use/;

export function containerState(container: Container, now: Circumstances): EngineState {
  switch (container.status) {
    case 'created':
      return createdState(container, now);
    case 'running':
    case 'paused':
    case 'restarting':
      return runningState(container, now);
    default:
      return endedState(container, now);
  }
}

function createdState(container: Container, now: Circumstances): EngineState {
  const { error, exitCode, id } = container;
  if (now.stopped) return ended('stopped', now.nowMs, 'stopped before it was started');
  if (error !== '') {
    // The engine tried: that a program is not there is the release's own fault, a taken port is not.
    const why = `could not be started: ${error}`;
    if (PORT_TAKEN.test(error)) return ended('port-taken', now.nowMs, why);
    return { ...ended('exit', now.nowMs, why), exitCode: exitCode === 0 ? null : exitCode };
  }
  if (now.launching) return { kind: 'starting' };
  return ended('never-started', now.nowMs, `its server died before ${id} was started`);
}

function runningState({ description, publicPort }: Container, now: Circumstances): EngineState {
  if (description.port === undefined || publicPort === undefined || now.listens === 'no') {
    return { kind: 'running' };
  }
  return { kind: 'running', endpoint: { host: '127.0.0.1', port: publicPort } };
}

function endedState(container: Container, now: Circumstances): EngineState {
  const { exitCode, finishedAtMs, outOfMemory, description } = container;
  const endedAtMs = Number.isFinite(finishedAtMs) && finishedAtMs > 0 ? finishedAtMs : now.nowMs;
  const exit = exitStatus(exitCode);
  if (now.stopped) return { ...ended('stopped', endedAtMs, describeExit(exit)), ...exit };
  if (description.bootId !== now.bootId) return ended('lost', endedAtMs, 'the machine was restarted');
  const why = outOfMemory ? 'ended for want of memory' : describeExit(exit);
  return { ...ended('exit', endedAtMs, why), ...exit };
}

function ended(cause: EndCause, endedAtMs: number, why: string): Extract<EngineState, { kind: 'ended' }> {
  return { kind: 'ended', cause, exitCode: null, signal: null, endedAtMs, why };
}
