/** The pipeline of a component that has none of its own: what `kiln pipeline eject` writes. */
import { limitWords } from './asl/task-limit.ts';
import { RESOURCES } from './task-registry.ts';

export interface DefaultPipelineOf {
  readonly component: string;
  /** As in its kiln.yaml. */
  readonly environments: readonly string[];
}

const FALLBACK = ['stage/local', 'live/local'];

/** Bake, check, promote, deploy to each environment that is not live, ask a person, deploy to those that are. */
export function defaultPipeline({ component, environments }: DefaultPipelineOf): string {
  // In `bake/…` images are booted to be checked; nothing is deployed there.
  const own = environments.filter((environment) => !environment.startsWith('bake/'));
  const all = own.length > 0 ? own : FALLBACK;
  const live = all.filter((environment) => environment.startsWith('live/'));
  const before = all.filter((environment) => !live.includes(environment));
  const steps = [
    task('Bake', 'bake', ['directory.$: $.trigger.source.location'], '$.image'),
    task('Check', 'check', ['image.$: $.image.id'], 'null'),
    task('Candidate', 'promote', ['image.$: $.image.id', 'channel: candidate'], 'null'),
    ...before.flatMap((environment) => [
      deploy(environment, component),
      task(
        `Check ${environment}`,
        'check',
        [`component: ${component}`, `environment: ${environment}`],
        'null',
      ),
    ]),
    task('Proven', 'promote', ['image.$: $.image.id', 'channel: proven'], 'null'),
    ...(live.length === 0 ? [] : [approve(component, live)]),
    ...live.map((environment) => deploy(environment, component)),
  ];
  const lines = steps.flatMap(({ name, text }, at) => {
    const next = steps[at + 1];
    return [`  ${name}:`, ...text, `    ${next === undefined ? 'End: true' : `Next: ${next.name}`}`];
  });
  const head = [
    `Comment: from source to live, for ${component}`,
    ...limitNotes(),
    'StartAt: Bake',
    'States:',
  ];
  return [...head, ...lines, ''].join('\n');
}

const NOTED = ['bake', 'check', 'promote', 'deploy', 'approve'];

/** For whoever changes it: what holds where a state says nothing. */
function limitNotes(): readonly string[] {
  const words = RESOURCES.flatMap(({ name, limit }) =>
    limit !== undefined && NOTED.includes(name) ? [`${name} ${limitWords(limit)}`] : [],
  );
  return [
    '# A task that takes longer than its limit ends as States.Timeout. Where a state has no TimeoutSeconds, or the',
    `# server's settings.yaml no pipelines.limitSeconds, that is: ${words.join(', ')} (wait + work).`,
  ];
}

interface Step {
  readonly name: string;
  readonly text: readonly string[];
}

function task(name: string, resource: string, parameters: readonly string[], resultPath: string): Step {
  return {
    name,
    text: [
      '    Type: Task',
      `    Resource: ${resource}`,
      '    Parameters:',
      ...parameters.map((line) => `      ${line}`),
      `    ResultPath: ${resultPath}`,
    ],
  };
}

function deploy(environment: string, component: string): Step {
  const parameters = [`component: ${component}`, `environment: ${environment}`, 'image.$: $.image.id'];
  return task(`Deploy ${environment}`, 'deploy', parameters, '$.deployed');
}

function approve(component: string, environments: readonly string[]): Step {
  const all = environments.join(', ');
  const parameters = [
    `message: ${component} to ${all}`,
    `environment: ${environments.length === 1 ? all : `[${all}]`}`,
    'image.$: $.image.id',
    'deadlineSeconds: 604800',
    'default: reject',
  ];
  return task('Approve', 'approve', parameters, '$.approval');
}
