/** Kiln's provisioners as Packer's. Pure. */
import path from 'node:path';
import type { Provisioner } from '../../../domain/component.ts';
import { LEFTOVER_SCRIPT } from '../../leftover-processes.ts';
import { type JsonObject, literal } from './json.ts';

/**
 * The author's command lines, by the file that each is written to: Packer reads templates in the lines of a template,
 * and in those that it runs more than once, but never in a script.
 */
export function commandScripts(steps: readonly Provisioner[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    steps.flatMap((step, index) =>
      step.kind === 'run'
        ? [
            [
              scriptName(index),
              `#!/bin/sh -e
${step.command}
`,
            ],
          ]
        : [],
    ),
  );
}

function scriptName(index: number): string {
  return `step-${index + 1}.sh`;
}

/** @param scripts absolute folder of the `commandScripts` */
export function packerProvisioners(
  steps: readonly Provisioner[],
  scripts: string,
  isRoot: boolean,
): JsonObject[] {
  return steps.map((step, index) => ({
    ...packerProvisioner(step, path.join(scripts, scriptName(index)), isRoot),
    timeout: `${Math.ceil(step.timeoutMs / 1000)}s`,
  }));
}

function packerProvisioner(step: Provisioner, script: string, isRoot: boolean): JsonObject {
  switch (step.kind) {
    case 'run':
      return { type: 'shell', script: literal(script) };
    case 'shell':
      return { type: 'shell', script: literal(step.script) };
    case 'file':
      return { type: 'file', source: literal(step.from), destination: literal(step.to) };
    case 'ansible':
      return { type: 'ansible-local', ...playbook(step.playbook) };
    case 'puppet':
      return { type: 'puppet-masterless', manifest_file: literal(step.manifest), prevent_sudo: isRoot };
    case 'chef':
      return {
        type: 'chef-solo',
        cookbook_paths: [literal(step.cookbooks)],
        run_list: step.runList.map(literal),
        // Nothing is fetched and run that nobody named: the image brings its own chef, or a step before installs it.
        skip_install: true,
        prevent_sudo: isRoot,
      };
  }
}

/** What stands beside a playbook in its folder (roles, variables, files) goes with it, but not the whole component. */
function playbook(file: string): JsonObject {
  const folder = path.dirname(file);
  return {
    playbook_file: literal(file),
    ...(folder === '.' ? {} : { playbook_dir: literal(folder) }),
  };
}

/** Last of all steps where the image is taken while it is up: what still runs then makes it no image. */
export function leftoverProvisioner(): JsonObject {
  return { type: 'shell', inline: [LEFTOVER_SCRIPT.replaceAll('{{', literal('{{'))], timeout: '60s' };
}
