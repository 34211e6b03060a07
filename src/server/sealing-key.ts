/**
 * The key that secrets in the database are sealed with. It is a file outside of the database, so that neither a copy
 * of the database nor whoever may only read there has the secrets. Servers that share a database share the key.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { KilnError } from '../domain/errors.ts';
import { readIfThere, replaceFile } from '../files/durable-file.ts';
import type { Sealing } from '../pipeline/webhooks/webhook-secrets.ts';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHER = 'aes-256-gcm';

/** Made at the first start, where nobody has given one. */
export async function ownSealingKey(file: string): Promise<Sealing> {
  const known = await readIfThere(file);
  if (known !== undefined) return sealingOf(file, known);
  const text = `${randomBytes(KEY_BYTES).toString('base64')}\n`;
  await replaceFile(file, text);
  return sealingOf(file, text);
}

/** Fails with `input.invalid` where there is no key in the file, or others than its user may read it. */
export async function givenSealingKey(file: string): Promise<Sealing> {
  const text = await readIfThere(file);
  if (text === undefined) throw unfit(file, 'is not there');
  if ((statSync(file).mode & 0o077) !== 0) throw unfit(file, 'may be read by others than its user');
  return sealingOf(file, text);
}

function sealingOf(file: string, text: string): Sealing {
  const given = Buffer.from(text.trim(), 'base64');
  if (given.length !== KEY_BYTES) throw unfit(file, `does not hold ${KEY_BYTES} bytes in base64`);
  const derive = (use: string, bytes: number) => Buffer.from(hkdfSync('sha256', given, '', use, bytes));
  const key = derive('kiln: secrets in the database', KEY_BYTES);
  const id = createHash('sha256')
    .update(derive('kiln: name of the key', KEY_BYTES))
    .digest('hex')
    .slice(0, 12);
  return {
    id,
    seal(owner, secret) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from(owner));
      const body = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64');
    },
    open(owner, sealed) {
      const bytes = Buffer.from(sealed, 'base64');
      const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES));
      decipher.setAAD(Buffer.from(owner)).setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      const body = bytes.subarray(NONCE_BYTES + TAG_BYTES);
      return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
    },
  };
}

function unfit(file: string, why: string): KilnError {
  return new KilnError('input.invalid', `The key file ${file} ${why}.`, {
    next: 'Copy the file `key` of the state directory of another server of this database there, with mode 0600; or make one for all of them: openssl rand -base64 32',
  });
}
