import { KilnError } from '../../domain/errors.ts';
import { answer, type Context, choiceFlag, hint, textFlag } from '../context.ts';
import { table } from '../table.ts';

const ROLES = ['viewer', 'worker', 'deployer', 'admin'] as const;
const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

export async function run(context: Context): Promise<number> {
  const [action = 'list', name] = context.args;
  if (action === 'list') return list(context);
  if (action === 'create' && name !== undefined) return create(context, name);
  if (action === 'delete' && name !== undefined) return remove(context, name);
  throw new KilnError('input.invalid', `"kiln tokens ${context.args.join(' ')}" is not known.`, {
    next: 'Use: kiln tokens list, kiln tokens create NAME, or kiln tokens delete ID.',
  });
}

async function list(context: Context): Promise<number> {
  const tokens = await context.client().call('tokens.list', {}, { signal: context.signal });
  return answer(context, tokens, () =>
    table(
      ['ID', 'NAME', 'ROLE', 'ENVIRONMENTS', 'EXPIRES'],
      tokens.items.map((token) => [
        token.id,
        token.name,
        token.role,
        token.environments.join(', ') || (token.role === 'admin' ? 'all' : '-'),
        token.expiresAtMs === undefined ? 'never' : new Date(token.expiresAtMs).toISOString(),
      ]),
      context.terminal.colors,
    ),
  );
}

async function create(context: Context, name: string): Promise<number> {
  const { flags, signal } = context;
  const role = choiceFlag(flags, 'role', '--role', ROLES) ?? 'viewer';
  const environments = textFlag(flags, 'environment')?.split(',') ?? [];
  const expires = textFlag(flags, 'expires');
  const expiresAtMs = expires === undefined ? undefined : context.now() + expiryMs(expires);
  const body = { name, role, environments, ...(expiresAtMs === undefined ? {} : { expiresAtMs }) };
  const created = await context.client().call('tokens.create', { body }, { signal });
  hint(context, 'shown this once: keep it where secrets are kept, and give it as KILN_TOKEN');
  return answer(context, created, () => created.secret);
}

async function remove(context: Context, id: string): Promise<number> {
  const deleted = await context
    .client()
    .call('tokens.delete', { params: { id } }, { signal: context.signal });
  return answer(context, deleted, () => `token ${deleted.deleted} is deleted and refused from now on`);
}

function expiryMs(text: string): number {
  const match = /^(\d{1,6})([mhd])$/.exec(text);
  const unit = UNIT_MS[match?.[2] ?? ''];
  if (unit !== undefined) return Number(match?.[1]) * unit;
  throw new KilnError('input.invalid', `"${text}" is not a duration.`, {
    next: 'Give one such as 30m, 12h or 90d.',
  });
}
