import type { Answer } from '../../api/contract.ts';
import { componentName, environmentName } from '../../domain/ids.ts';
import { answer, type Context, hint } from '../context.ts';
import { durationText } from '../time.ts';

type Service = Answer<'services.get'>;
type Group = Service['groups'][number];

export async function run(context: Context): Promise<number> {
  const [component, environment] = context.args;
  const query = component === undefined ? {} : { component: componentName(component) };
  const wanted = environment === undefined ? undefined : environmentName(environment);
  const { items } = await context.client().call('services.list', { query }, { signal: context.signal });
  const services = items.filter((one) => wanted === undefined || one.environment === wanted);
  if (services.length === 0) hint(context, 'nothing is deployed: kiln up DIR');
  return answer(context, { items: services }, () =>
    services.length === 0 ? undefined : services.map((one) => serviceText(context, one)).join('\n\n'),
  );
}

function serviceText(context: Context, service: Service): string {
  const { colors } = context.terminal;
  const serving =
    service.serving === undefined
      ? 'no release'
      : `release ${service.serving.release} (${service.serving.version})`;
  const { deployment } = service;
  return [
    `${colors.bold(service.component)}  ${service.environment}  ${verdictText(context, service.verdict)}  ${serving}`,
    ...(service.serving?.bad === undefined ? [] : [`  ${colors.red('bad:')} ${service.serving.bad}`]),
    ...(deployment === undefined
      ? []
      : [
          `  ${colors.yellow(deployment.state)}: ${deployment.reason} to release ${deployment.to} (${deployment.id})`,
        ]),
    ...service.groups.flatMap((group) => groupLines(context, group)),
    ...service.urls.map((url) => `  ${colors.cyan(url)}`),
  ].join('\n');
}

function verdictText({ terminal: { colors } }: Context, verdict: Service['verdict']): string {
  if (verdict === 'serving') return colors.green(verdict);
  return verdict === 'degraded'
    ? colors.yellow(verdict)
    : verdict === 'down'
      ? colors.red(verdict)
      : colors.dim(verdict);
}

function groupLines(context: Context, group: Group): string[] {
  const { colors } = context.terminal;
  const ready = group.instances.filter((one) => one.ready).length;
  const warm =
    group.keepWarmUntilMs === undefined
      ? ''
      : `  kept warm for ${durationText(Math.max(0, group.keepWarmUntilMs - context.now()))}`;
  const trouble =
    group.health.kind === 'steady' ? '' : `  ${colors.red(`${group.health.kind}: ${group.health.why}`)}`;
  return [
    `  ${group.name}  ${ready}/${group.desired} ready  weight ${group.weight}${warm}${trouble}`,
    ...group.instances.map((one) => {
      const endpoint = one.endpoint === undefined ? '' : `  ${one.endpoint.host}:${one.endpoint.port}`;
      return colors.dim(`    ${one.id}  ${one.phase}  router: ${one.router}${endpoint}`);
    }),
  ];
}
