/** What a build may ask its session for: secrets by their names, and an SSH agent (buildkit, session/secrets and session/sshforward). */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { KilnError } from '../../domain/errors.ts';
import type { Call, Methods } from './calls.ts';
import { bytesField, bytesOf } from './protobuf.ts';

/** The agent that a mount means which names none. */
const DEFAULT_AGENT = 'default';
const ID = 1;
const DATA = 1;

export function secretsService(secrets: ReadonlyMap<string, Buffer>): Methods {
  return {
    '/moby.buildkit.secrets.v1.Secrets/GetSecret': async (call) => {
      const id = bytesOf(await onlyMessage(call), ID).toString();
      const secret = secrets.get(id);
      if (secret === undefined) throw new KilnError('not-found', `The build has no secret ${id}.`);
      await call.send(bytesField(DATA, secret));
    },
  };
}

/** @param socketPath absolute, of the agent; its keys stay there, and only what is to be signed comes and goes */
export function agentService(socketPath: string): Methods {
  return {
    '/moby.sshforward.v1.SSH/CheckAgent': async (call) => {
      refuseOthers(bytesOf(await onlyMessage(call), ID).toString());
      await call.send(Buffer.alloc(0));
    },
    '/moby.sshforward.v1.SSH/ForwardAgent': async (call) => {
      refuseOthers(String(call.headers['buildkit.ssh.id'] ?? ''));
      await forward(call, socketPath);
    },
  };
}

function refuseOthers(id: string): void {
  if (id !== '' && id !== DEFAULT_AGENT)
    throw new KilnError('not-found', `The build has no SSH agent ${id}.`);
}

async function forward(call: Call, socketPath: string): Promise<void> {
  const agent = await connectToAgent(socketPath, call.signal);
  const asked = (async () => {
    for await (const message of call.messages) {
      if (!agent.write(bytesOf(message, DATA))) await once(agent, 'drain', { signal: call.signal });
    }
    agent.end();
  })();
  // The build closes its side whenever it likes: that ends the call, and is no failure of it.
  asked.catch(() => agent.destroy());
  try {
    const chunks: AsyncIterable<Buffer> = agent;
    for await (const chunk of chunks) await call.send(bytesField(DATA, chunk));
  } catch (error) {
    if (!call.signal.aborted) throw error;
  } finally {
    agent.destroy();
  }
}

/** Fails with `tool.missing` when none answers there. */
export async function connectToAgent(socketPath: string, signal: AbortSignal): Promise<Socket> {
  const agent = connect({ path: socketPath });
  try {
    await once(agent, 'connect', { signal });
    return agent;
  } catch (error) {
    agent.destroy();
    throw new KilnError('tool.missing', `No SSH agent answers at ${socketPath}.`, {
      cause: error,
      next: 'Start one there (ssh-agent -a), and add the keys that builds may use.',
    });
  }
}

async function onlyMessage({ messages }: Call): Promise<Buffer> {
  for await (const message of messages) return message;
  return Buffer.alloc(0);
}
