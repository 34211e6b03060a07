/** Who Kiln is at Amazon: keys that were given to it, or else those of a profile in the file that Amazon's tools keep. */

import { KilnError } from '../domain/errors.ts';
import { readIfThere } from '../files/durable-file.ts';
import type { AmazonCredentials } from './signature.ts';

export interface AmazonAccess {
  /** Secrets by the names that Packer's templates have for them. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string>>;
}

export async function amazonCredentials({ secrets, environment }: AmazonAccess): Promise<AmazonCredentials> {
  const { aws_access_key: accessKey, aws_secret_key: secretKey, aws_token: token } = secrets;
  if (accessKey !== undefined && secretKey !== undefined) return credentials(accessKey, secretKey, token);
  const file = environment.AWS_SHARED_CREDENTIALS_FILE;
  const text = file === undefined ? undefined : await readIfThere(file);
  const keys = profileOf(text ?? '', environment.AWS_PROFILE ?? 'default');
  const [id, secret] = [keys.get('aws_access_key_id'), keys.get('aws_secret_access_key')];
  if (id !== undefined && secret !== undefined) return credentials(id, secret, keys.get('aws_session_token'));
  throw new KilnError('auth.missing', 'Kiln has no keys to Amazon.', {
    next: 'Give the server AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws/credentials.',
  });
}

function credentials(accessKey: string, secretKey: string, token: string | undefined): AmazonCredentials {
  return { accessKey, secretKey, ...(token === undefined ? {} : { token }) };
}

function profileOf(text: string, name: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  let section = '';
  for (const line of text.split('\n')) {
    const [, title] = /^\s*\[\s*([^\]]+?)\s*\]/.exec(line) ?? [];
    const [, key, value] = /^\s*([a-z_]+)\s*=\s*(\S+)\s*$/.exec(line) ?? [];
    if (title !== undefined) section = title;
    else if (section === name && key !== undefined && value !== undefined) found.set(key, value);
  }
  return found;
}
