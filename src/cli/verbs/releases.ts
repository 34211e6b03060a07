import { componentName, environmentName } from '../../domain/ids.ts';
import { answer, type Context, hint, numberFlag, textFlag } from '../context.ts';
import { table } from '../table.ts';
import { agoText } from '../time.ts';

export async function run(context: Context): Promise<number> {
  const [component, environment] = context.args;
  const { flags, signal, terminal } = context;
  const cursor = textFlag(flags, 'cursor');
  const query = {
    limit: numberFlag(flags, 'limit', '--limit') ?? 20,
    ...(component === undefined ? {} : { component: componentName(component) }),
    ...(environment === undefined ? {} : { environment: environmentName(environment) }),
    ...(cursor === undefined ? {} : { cursor }),
  };
  const page = await context.client().call('releases.list', { query }, { signal });
  if (page.items.length === 0) hint(context, 'no releases yet: kiln deploy COMPONENT ENVIRONMENT');
  if (page.cursor !== undefined) hint(context, `more: --cursor ${page.cursor}`);
  return answer(context, page, () =>
    page.items.length === 0
      ? undefined
      : table(
          ['COMPONENT', 'ENVIRONMENT', 'RELEASE', 'VERSION', 'CONFIG', 'MADE', 'LAST SERVED', 'BY'],
          page.items.map((release) => [
            release.component,
            release.environment,
            `v${String(release.number).padStart(3, '0')}`,
            release.version,
            release.config.digest.slice(7, 19),
            agoText(release.createdAtMs, context.now()),
            release.bad === undefined
              ? release.servedAtMs === undefined
                ? 'never'
                : agoText(release.servedAtMs, context.now())
              : terminal.colors.red(`bad: ${release.bad.why}`),
            release.createdBy,
          ]),
          terminal.colors,
        ),
  );
}
