import type { Token } from '../audit.ts';
import type { Change } from '../change.ts';

export interface TokenStore {
  /** Only the hash of the secret is kept. */
  create(token: Omit<Token, 'id' | 'createdAtMs'>, secretHash: string, change: Change): Promise<Token>;
  bySecretHash(secretHash: string): Promise<Token | undefined>;
  list(): Promise<readonly Token[]>;
  delete(id: string, change: Change): Promise<void>;
}
