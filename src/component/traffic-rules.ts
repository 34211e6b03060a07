import { componentName, environmentName, isName, processName } from '../domain/ids.ts';
import { serverGroupName } from '../domain/server-group.ts';
import { tidyRoutePath } from './definition.ts';
import type { Finding } from './faults.ts';
import { WEB } from './merge.ts';
import { expandRoutes } from './resolve-environment.ts';
import { finding, isWritten, type Scope, sectionPath } from './scope.ts';
import { suggest } from './suggest.ts';

/** A part of a host name, by RFC 1123. */
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const SAMPLE_ENVIRONMENT = environmentName('stage/local');
const LABEL_LENGTH = 63;
/** The longest role and number that a group's name may have to hold. */
const LONGEST_GROUP = { role: 'baseline', release: 9999 } as const;

/** `declared`: processes that the author named, readable or not, so that one mistake is not reported twice. */
export function trafficFindings(scope: Scope, declared: ReadonlySet<string>): readonly Finding[] {
  return [...routeFindings(scope, declared), ...deployFindings(scope), ...nameFindings(scope)];
}

function routeFindings(scope: Scope, declared: ReadonlySet<string>): readonly Finding[] {
  const seen = new Set<string>();
  return (scope.merged.routes ?? []).flatMap((route, index) => {
    const path = [...sectionPath(scope, 'routes'), index];
    const address = `${route.host}${tidyRoutePath(route.path ?? '/')}`;
    const findings: Finding[] = [];
    if (seen.has(address)) {
      findings.push(
        finding(path, `the route ${address} stands here twice`, { expected: 'each host and path once' }),
      );
    }
    seen.add(address);
    if (!fitsAsHost(route.host, scope)) {
      findings.push(
        finding([...path, 'host'], 'not a host name', {
          found: route.host,
          expected: 'words and dashes between dots',
        }),
      );
    }
    return [...findings, ...answererFindings(scope, index, path, declared)];
  });
}

function fitsAsHost(host: string, { file, environment }: Scope): boolean {
  const component = componentName(file.component);
  const where = environment === undefined ? SAMPLE_ENVIRONMENT : environmentName(environment);
  const [route] = expandRoutes([{ host, path: '/', process: processName(WEB) }], component, where);
  return route?.host.split('.').every((label) => LABEL.test(label)) ?? false;
}

function answererFindings(
  scope: Scope,
  index: number,
  path: readonly (string | number)[],
  declared: ReadonlySet<string>,
): readonly Finding[] {
  const wanted = scope.spec.routes[index]?.process;
  const given = scope.merged.routes?.[index]?.process;
  const at = given === undefined ? path : [...path, 'process'];
  const process = scope.spec.processes.find(({ name }) => name === wanted);
  if (process?.listens) return [];
  if (process !== undefined) {
    return [finding(at, `the process "${wanted}" does not listen`, { expected: 'a process with a port' })];
  }
  if (wanted !== undefined && declared.has(wanted)) return [];
  if (given === undefined) {
    return [
      finding(at, 'which process answers is not clear', { expected: '"process", naming one that listens' }),
    ];
  }
  const listening = scope.spec.processes.filter(({ listens }) => listens).map(({ name }) => name);
  const didYouMean = suggest(given, listening);
  return [
    finding(at, `there is no process "${given}"`, {
      expected: listening.length > 0 ? `one of ${listening.join(', ')}` : 'a process of this component',
      ...(didYouMean !== undefined && { didYouMean }),
    }),
  ];
}

function deployFindings(scope: Scope): readonly Finding[] {
  const { deploy } = scope.merged;
  const steps = scope.spec.deploy.steps;
  const path = sectionPath(scope, 'deploy', 'steps');
  const strategyPath = [...path.slice(0, -1), 'strategy'];
  if (deploy.steps === undefined) return [];
  if (scope.spec.deploy.strategy === 'canary') {
    const rising = steps.every((share, index) => share > (steps[index - 1] ?? 0) && share <= 100);
    return rising && steps.length > 0
      ? []
      : [
          finding(path, 'the shares do not rise', {
            expected: 'at least one share, each greater than the one before',
          }),
        ];
  }
  if (isWritten(scope.raw, strategyPath) && !isWritten(scope.file, strategyPath)) return [];
  const elsewhere = Object.values(scope.file.environments ?? {}).some(
    (over) => over.deploy?.strategy === 'canary',
  );
  const here = scope.over === undefined ? !elsewhere : path.length > 2;
  return here
    ? [finding(path, '"steps" means nothing here', { at: 'key', expected: '"strategy: canary" beside it' })]
    : [];
}

/** Server groups are named after all of this, and the name must stay a DNS label. */
function nameFindings({ spec, file, environment, over }: Scope): readonly Finding[] {
  if (environment === undefined || over === undefined || !isName(file.component)) return [];
  return spec.processes.flatMap(({ name }) => {
    const group = serverGroupName(
      componentName(file.component),
      name,
      environmentName(environment),
      LONGEST_GROUP.release,
      LONGEST_GROUP.role,
    );
    if (group.length <= LABEL_LENGTH) return [];
    const message = `component, process "${name}" and environment are too long together`;
    return [
      finding(over, message, {
        at: 'key',
        found: `${group} (${group.length} characters)`,
        expected: `at most ${LABEL_LENGTH}`,
      }),
    ];
  });
}
