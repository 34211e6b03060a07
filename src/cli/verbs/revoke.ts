import type { Answer } from '../../api/contract.ts';
import { answer, type Context, hint, isSet, textFlag } from '../context.ts';
import { table } from '../table.ts';

type Use = Answer<'images.revoke'>['running'][number];

function replacedBy({ component, replacement, newer }: Use): string | undefined {
  if (replacement !== undefined) return `release ${replacement}`;
  return newer && `${component}@${newer.version}`;
}

export async function run(context: Context): Promise<number> {
  const [reference = ''] = context.args;
  const { flags, signal, progress, terminal } = context;
  const body = { why: textFlag(flags, 'why') ?? 'revoked', replace: isSet(flags, 'replace') };
  const found = await context.client().call('images.revoke', { params: { reference }, body }, { signal });
  progress.end('done', `${found.images.length} images revoked: it and what was baked from it`);
  if (found.running.length > 0 && !body.replace)
    hint(context, `to replace what runs: kiln revoke ${reference} --replace`);
  return answer(context, found, () =>
    found.running.length === 0
      ? 'Nothing runs on a revoked image.'
      : table(
          ['SERVER GROUP', 'ENVIRONMENT', 'RELEASE', 'REPLACED BY'],
          found.running.map((use) => [
            use.group,
            use.environment,
            String(use.release),
            use.deployment !== undefined
              ? `${replacedBy(use)} (deployment ${use.deployment})`
              : use.refused !== undefined
                ? terminal.colors.red(use.refused)
                : replacedBy(use) === undefined
                  ? terminal.colors.red('nothing: no release that served and no image is fit')
                  : `would be ${replacedBy(use)}`,
          ]),
          terminal.colors,
        ),
  );
}
