import { EXIT } from '../../api/failures.ts';
import { answer, type Context, hint, isSet, numberFlag, textFlag } from '../context.ts';
import { table } from '../table.ts';

export async function run(context: Context): Promise<number> {
  const client = context.client();
  const { flags, signal, terminal } = context;
  if (isSet(flags, 'verify')) {
    const verdict = await client.call('audit.verify', {}, { signal });
    answer(context, verdict, () =>
      verdict.whole
        ? 'the audit log is whole'
        : `the audit log was changed: revision ${verdict.firstBroken} does not fit`,
    );
    return verdict.whole ? EXIT.ok : EXIT.negative;
  }
  const cursor = textFlag(flags, 'cursor');
  const query = {
    limit: numberFlag(flags, 'limit', '--limit') ?? 20,
    ...(cursor === undefined ? {} : { cursor }),
  };
  const page = await client.call('audit.list', { query }, { signal });
  if (page.cursor !== undefined) hint(context, `more: --cursor ${page.cursor}`);
  return answer(context, page, () =>
    table(
      ['REVISION', 'WHEN', 'WHO', 'WHAT', 'SUBJECT'],
      page.items.map((entry) => [
        String(entry.revision),
        new Date(entry.atMs).toISOString(),
        entry.actor,
        entry.action,
        entry.subject,
      ]),
      terminal.colors,
    ),
  );
}
