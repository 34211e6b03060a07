/** User names and passwords of registries, from the file that `docker login` writes. */
import { z } from 'zod';
import { KilnError } from '../domain/errors.ts';
import { readIfThere } from '../files/durable-file.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** Undefined: the registry is asked without any. */
export type FindCredentials = (host: string) => Promise<Credentials | undefined>;

const entrySchema = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
});
const fileSchema = z.object({ auths: z.record(z.string(), entrySchema).optional() });

/** Reads the file anew each time, so that a login counts at once. Never fails with what the file holds. */
export function credentialsFromFile(file: string): FindCredentials {
  return async (host) => {
    const text = await readIfThere(file);
    if (text === undefined) return undefined;
    const parsed = fileSchema.safeParse(jsonOf(text));
    if (!parsed.success) {
      throw new KilnError('input.invalid', `${file} does not hold logins as Docker writes them.`, {
        next: `Log in again: docker login ${host}`,
      });
    }
    const { auths = {} } = parsed.data;
    const entry = auths[host] ?? auths[`https://${host}`] ?? auths[`https://${host}/v1/`];
    return entry === undefined ? undefined : credentialsOf(entry);
  };
}

function credentialsOf({ auth, username, password }: z.infer<typeof entrySchema>): Credentials | undefined {
  if (username !== undefined && password !== undefined) return { user: username, password };
  const pair = Buffer.from(auth ?? '', 'base64').toString('utf8');
  const colon = pair.indexOf(':');
  return colon <= 0 ? undefined : { user: pair.slice(0, colon), password: pair.slice(colon + 1) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON, so not a file of logins: the schema says so, without quoting it.
    return undefined;
  }
}
