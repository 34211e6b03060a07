import path from 'node:path';
import type { Answer } from '../../api/contract.ts';
import { EXIT } from '../../api/failures.ts';
import { KilnError } from '../../domain/errors.ts';
import { componentName } from '../../domain/ids.ts';
import { answer, type Context, hint, isSet, textFlag } from '../context.ts';
import { failed, failureOf, untilEnded } from '../ended-work.ts';
import { table } from '../table.ts';

type Scan = Answer<'scans.get'>;
type Finding = Answer<'images.findings'>['blocking'][number];

export async function run(context: Context): Promise<number> {
  const { flags } = context;
  if (isSet(flags, 'waivers')) return waivers(context);
  const waive = textFlag(flags, 'waive');
  if (waive !== undefined) return waiveFinding(context, waive);
  const ended = textFlag(flags, 'endWaiver');
  if (ended !== undefined) return endWaiver(context, ended);
  return scan(context);
}

async function scan(context: Context): Promise<number> {
  const { flags, progress, signal } = context;
  const [image] = context.args;
  const folder = textFlag(flags, 'advisories');
  const client = context.client();
  const body = {
    ...(image === undefined ? {} : { image }),
    ...(folder === undefined ? {} : { advisories: path.resolve(folder) }),
  };
  progress.begin(`scanning ${image ?? 'every image'}`);
  const begun = await client.call('scans.start', { body }, { signal, waitSeconds: 5 });
  context.onInterrupt(() => 'the scan goes on in the server; findings stay with the images');
  const done = await untilEnded(
    begun,
    ({ state }) => state !== 'running',
    (wait) => client.call('scans.get', { params: { id: begun.id }, query: { wait } }, { signal }),
  );
  if (done.failure !== undefined) {
    progress.end('failed', 'it could not be scanned');
    return failed(context, failureOf(done.failure));
  }
  const blocking = done.images.reduce((sum, { verdict }) => sum + verdict.blocking.length, 0);
  const facts = `${done.scanned} images, ${done.advisories} advisories`;
  if (done.state === 'passed') progress.end('done', `nothing that the policy forbids: ${facts}`);
  else progress.end('failed', `${blocking} findings that the policy forbids: ${facts}`);
  answer(context, done, () => shown(context, done));
  return done.state === 'passed' ? EXIT.ok : EXIT.negative;
}

function shown(context: Context, { images }: Scan): string | undefined {
  const rows = images.flatMap(({ image, verdict, groups }) => {
    const name = `${image.component}@${image.version}`;
    const row = (finding: Finding, word: string): string[] => [
      word,
      finding.severity,
      finding.id,
      finding.where ?? '-',
      finding.fixedIn ?? '-',
      name,
      groups.join(', ') || '-',
    ];
    return [
      ...verdict.blocking.map((finding) => row(finding, 'forbidden')),
      ...verdict.waived.map(({ finding, waiver }) => row(finding, `waived (${waiver.id})`)),
      ...verdict.noted.map((finding) => row(finding, 'noted')),
    ];
  });
  if (rows.length === 0) return undefined;
  const heads = ['POLICY', 'SEVERITY', 'FINDING', 'WHERE', 'FIXED IN', 'IMAGE', 'RUNS IN'];
  return table(heads, rows, context.terminal.colors);
}

async function waiveFinding(context: Context, finding: string): Promise<number> {
  const { flags, signal } = context;
  const until = textFlag(flags, 'until');
  const why = textFlag(flags, 'why');
  const expiresAtMs = Date.parse(`${until}T23:59:59.999Z`);
  if (why === undefined || until === undefined || !Number.isFinite(expiresAtMs)) {
    throw new KilnError('input.invalid', 'A waiver says why, and until when.', {
      next: 'Give both: kiln scan --waive CVE-2024-1 --why "not reachable" --until 2030-01-31',
    });
  }
  const component = textFlag(flags, 'component');
  const body = {
    finding,
    why,
    expiresAtMs,
    ...(component === undefined ? {} : { component: componentName(component) }),
  };
  const waiver = await context.client().call('waivers.create', { body }, { signal });
  hint(context, 'the next scan takes it into account: kiln scan IMAGE');
  return answer(context, waiver, () => `${waiver.id}: ${finding} is waived until ${until}`);
}

async function endWaiver(context: Context, id: string): Promise<number> {
  const ended = await context.client().call('waivers.delete', { params: { id } }, { signal: context.signal });
  return answer(context, ended, () => `${id} has ended`);
}

async function waivers(context: Context): Promise<number> {
  const found = await context.client().call('waivers.list', {}, { signal: context.signal });
  return answer(context, found, () =>
    table(
      ['WAIVER', 'FINDING', 'COMPONENT', 'UNTIL', 'BY', 'WHY'],
      found.items.map((one) => [
        one.expiresAtMs > context.now() ? one.id : `${one.id} (ended)`,
        one.finding,
        one.component ?? 'any',
        new Date(one.expiresAtMs).toISOString().slice(0, 10),
        one.by,
        one.why,
      ]),
      context.terminal.colors,
    ),
  );
}
