/** Kiln's provisioners as scripts that are run inside the root filesystem. Pure. */
import path from 'node:path';
import type { Provisioner } from '../../../domain/component.ts';
import { LEFTOVER_SCRIPT } from '../../leftover-processes.ts';
import { SOURCE_INSIDE } from './namespace.ts';

/** As a machine of its own would have it. */
export const INNER_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export const STEP_ENVIRONMENT: Readonly<Record<string, string>> = {
  HOME: '/root',
  LANG: 'C.UTF-8',
  DEBIAN_FRONTEND: 'noninteractive',
  ANSIBLE_LOCAL_TEMP: '/tmp/ansible',
  ANSIBLE_REMOTE_TEMP: '/tmp/ansible',
  ANSIBLE_HOME: '/tmp/ansible-home',
};

/** What the step is called in progress and errors. */
export function stepTitle(step: Provisioner): string {
  switch (step.kind) {
    case 'run':
      return step.command;
    case 'shell':
      return step.script;
    case 'file':
      return `${step.from} → ${step.to}`;
    case 'ansible':
      return `ansible ${step.playbook}`;
    case 'puppet':
      return `puppet ${step.manifest}`;
    case 'chef':
      return `chef ${step.runList.join(',')}`;
  }
}

/** Runs the step and then looks for processes that it has left. */
export function stepScript(step: Provisioner): string {
  return `(\nset -e\n${command(step)}\n) || exit $?\n${LEFTOVER_SCRIPT}`;
}

function command(step: Provisioner): string {
  switch (step.kind) {
    case 'run':
      return `/bin/sh -ec ${word(step.command)}`;
    case 'shell':
      return [
        `cp ${source(step.script)} /tmp/kiln-step`,
        'chmod 755 /tmp/kiln-step',
        `cd ${SOURCE_INSIDE}`,
        '/tmp/kiln-step',
      ].join('\n');
    case 'file':
      return `mkdir -p ${word(path.posix.dirname(step.to))}\ncp -RP ${source(step.from)} ${word(step.to)}`;
    case 'ansible':
      return `ansible-playbook --connection=local --inventory=localhost, ${source(step.playbook)}`;
    case 'puppet':
      // 2: it has changed something, as it should.
      return `puppet apply --detailed-exitcodes ${source(step.manifest)} || [ $? -eq 2 ]`;
    case 'chef':
      return [
        `printf 'cookbook_path "%s"\\nfile_cache_path "/tmp/chef"\\n' ${source(step.cookbooks)} >/tmp/solo.rb`,
        `chef-solo --config /tmp/solo.rb --override-runlist ${word(step.runList.join(','))}`,
      ].join('\n');
  }
}

function source(file: string): string {
  return word(path.posix.join(SOURCE_INSIDE, file));
}

function word(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
