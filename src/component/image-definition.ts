/** From what the author wrote of the image to what it means. */
import type { BuildStep, ImageSpec, MachineSpec, Provisioner, RebakeSpec } from '../domain/component.ts';
import { channelName } from '../domain/ids.ts';
import type { ImageInput, MachineInput, ProvisionerInput } from './image-shape.ts';
import { durationMs, parseSizeBytes } from './quantities.ts';
import { asTexts, type Written } from './written-values.ts';

const DEFAULT_DOCKERFILE = 'Dockerfile';
const STEP_TIMEOUT_MS = 30 * 60_000;

export function defineImage(image: ImageInput, written: Written): ImageSpec {
  const kind = image.kind ?? 'bundle';
  return {
    kind,
    ...(image.base !== undefined && { base: image.base }),
    build: buildSteps(image.build),
    buildEnvironment: asTexts(image.environment ?? {}, ['image', 'environment'], written),
    include: image.include ?? [],
    exclude: image.exclude ?? [],
    tests: image.tests ?? [],
    ...(Object.keys(image.tags ?? {}).length > 0 && {
      tags: asTexts(image.tags ?? {}, ['image', 'tags'], written),
    }),
    ...(image.rebake !== undefined && image.rebake !== 'never' && { rebake: defineRebake(image.rebake) }),
    ...(kind === 'container' && {
      container: {
        dockerfile: image.container?.dockerfile ?? DEFAULT_DOCKERFILE,
        ...(image.container?.stage !== undefined && { stage: image.container.stage }),
        args: asTexts(image.container?.args ?? {}, ['image', 'container', 'args'], written),
        ...(image.container?.secrets !== undefined && { secrets: image.container.secrets }),
        ...(image.container?.ssh === true && { ssh: true }),
      },
    }),
    ...(kind === 'machine' && image.machine !== undefined && { machine: defineMachine(image.machine) }),
  };
}

function defineRebake(rebake: Exclude<ImageInput['rebake'], 'never' | undefined>): RebakeSpec {
  const { promote } = rebake === 'on-base-change' ? {} : rebake;
  return { promote: promote === undefined ? 'held' : promote.map(channelName) };
}

function buildSteps(build: ImageInput['build']): readonly BuildStep[] {
  const steps = build === undefined ? [] : typeof build === 'string' ? [build] : build;
  return steps.map((step) => {
    if (typeof step === 'string') return { run: step, timeoutMs: STEP_TIMEOUT_MS };
    return {
      run: step.run,
      ...(step.inputs !== undefined && { inputs: step.inputs }),
      ...(step.outputs !== undefined && { outputs: step.outputs }),
      timeoutMs: durationMs(step.timeout, STEP_TIMEOUT_MS),
    };
  });
}

function defineMachine(machine: MachineInput): MachineSpec {
  if (machine.packer !== undefined) return { kind: 'template', packer: machine.packer };
  const diskBytes = machine.disk === undefined ? undefined : parseSizeBytes(machine.disk);
  return {
    kind: 'described',
    builder: machine.builder ?? '',
    source: machine.source ?? '',
    regions: machine.regions ?? [],
    architectures: machine.architectures ?? ['amd64'],
    provisioners: (machine.provisioners ?? []).map(defineProvisioner),
    ...(diskBytes !== undefined && { diskBytes }),
    ...(machine.user !== undefined && { user: machine.user }),
    formats: machine.formats ?? [],
    options: machine.options ?? {},
  };
}

function defineProvisioner(step: ProvisionerInput): Provisioner {
  const timeoutMs = durationMs(step.timeout, STEP_TIMEOUT_MS);
  if ('run' in step) return { kind: 'run', command: step.run, timeoutMs };
  if ('shell' in step) return { kind: 'shell', script: step.shell, timeoutMs };
  if ('file' in step) return { kind: 'file', ...step.file, timeoutMs };
  if ('ansible' in step) return { kind: 'ansible', playbook: step.ansible, timeoutMs };
  if ('puppet' in step) return { kind: 'puppet', manifest: step.puppet, timeoutMs };
  return { kind: 'chef', ...step.chef, timeoutMs };
}
