/**
 * The secrets that a build may read, from where whoever runs the server keeps them: a folder in which a file is a
 * secret and its name the id. What lies in `FOLDER/COMPONENT/` is that component's alone, and comes first.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { connectToAgent } from '../../docker/buildkit/build-secrets.ts';
import type { ContainerSpec } from '../../domain/component.ts';
import { KilnError } from '../../domain/errors.ts';
import type { ComponentName } from '../../domain/ids.ts';
import { isSystemError } from '../../files/system-error.ts';

export interface BuildGrants {
  /** Absolute path of the folder of secrets; undefined: the server has none. */
  readonly secretsFolder: string | undefined;
  /** Absolute path of an SSH agent's socket; undefined: the server lends none. */
  readonly sshAgent: string | undefined;
}

const HIDDEN = '***';
/** A shorter line of a secret would hide what is none. */
const SHORTEST_HIDDEN = 4;

/** Fails with `input.invalid`, naming the file to write, when one that `kiln.yaml` lists is not there. */
export async function grantedSecrets(
  { secretsFolder }: BuildGrants,
  component: ComponentName,
  { secrets = [] }: ContainerSpec,
): Promise<ReadonlyMap<string, Buffer>> {
  const found = new Map<string, Buffer>();
  for (const id of secrets) {
    if (secretsFolder === undefined)
      throw notThere(
        id,
        'this server has no secrets for builds',
        'Name their folder: `builds: {secrets: /FOLDER}` in settings.yaml, or KILN_BUILD_SECRETS.',
      );
    const secret =
      (await readSecret(path.join(secretsFolder, component, id))) ??
      (await readSecret(path.join(secretsFolder, id)));
    if (secret === undefined)
      throw notThere(
        id,
        `it is not in ${secretsFolder} on the server`,
        `Write it to ${path.join(secretsFolder, component, id)}, readable for the user that runs Kiln alone.`,
      );
    found.set(id, secret);
  }
  return found;
}

/**
 * Fails with `input.invalid` when the server lends none, with `tool.missing` when nobody answers there: BuildKit would
 * go on without it.
 */
export async function grantedAgent(
  { sshAgent }: BuildGrants,
  { ssh = false }: ContainerSpec,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!ssh) return undefined;
  if (sshAgent === undefined) {
    throw new KilnError('input.invalid', 'The build asks for an SSH agent, and this server lends none.', {
      next: "Name an agent's socket: `builds: {sshAgent: /SOCKET}` in settings.yaml, or KILN_BUILD_SSH_AGENT.",
    });
  }
  (await connectToAgent(sshAgent, signal)).destroy();
  return sshAgent;
}

/** The same text without any of the secrets, each line of which counts. */
export function withoutSecrets(secrets: Iterable<Buffer>): (text: string) => string {
  const hidden = [...secrets]
    .flatMap((secret) => secret.toString().split('\n'))
    .map((line) => line.trim())
    .filter((line) => line.length >= SHORTEST_HIDDEN)
    .sort((a, b) => b.length - a.length);
  return (text) => hidden.reduce((left, secret) => left.replaceAll(secret, HIDDEN), text);
}

async function readSecret(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return undefined;
    throw new KilnError('input.invalid', `The secret ${file} cannot be read.`, {
      cause: error,
      next: 'Give the user that runs Kiln the right to read it.',
    });
  }
}

function notThere(id: string, why: string, next: string): KilnError {
  return new KilnError('input.invalid', `The build asks for the secret "${id}", and ${why}.`, { next });
}
