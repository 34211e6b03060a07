/** The optional tools that Kiln finds, and what each gives: data for `kiln doctor`. */
export interface Tool {
  readonly name: string;
  /** Tried in this order; absolute paths, or names looked up on PATH. */
  readonly commands: readonly string[];
  readonly versionArguments: readonly string[];
  readonly gives: string;
  /** How it is got on Debian. */
  readonly package: string;
  /** A command that must end well for the tool to be of use; undefined: that it is there is enough. */
  readonly works?: readonly string[];
  /** What to do when that fails. */
  readonly mend?: string;
}

export const TOOLS: readonly Tool[] = [
  {
    name: 'git',
    commands: ['git'],
    versionArguments: ['--version'],
    gives: 'versions by git describe, and the commit of each image',
    package: 'git',
  },
  {
    name: 'bwrap',
    commands: ['bwrap'],
    versionArguments: ['--version'],
    gives:
      'a sandbox around each instance and each command of a pipeline, which hides Kiln’s state and token',
    package: 'bubblewrap',
    works: ['--ro-bind', '/', '/', '--unshare-pid', '--die-with-parent', 'true'],
    mend: 'let users make namespaces: as root, sysctl kernel.unprivileged_userns_clone=1 (Ubuntu: kernel.apparmor_restrict_unprivileged_userns=0); in a container, allow them to it',
  },
  {
    name: 'haproxy',
    commands: ['haproxy', '/usr/sbin/haproxy'],
    versionArguments: ['-v'],
    gives: 'the faster router: kiln serve --router haproxy',
    package: 'haproxy',
  },
  {
    name: 'postgres',
    commands: ['postgres', '/usr/lib/postgresql/*/bin/postgres'],
    versionArguments: ['--version'],
    gives: 'a store that several servers share: DATABASE_URL',
    package: 'postgresql',
  },
  {
    name: 'docker engine',
    commands: ['docker'],
    versionArguments: ['--version'],
    gives: 'container images and the docker target',
    package: 'docker.io',
    works: ['info', '--format', '{{.ServerVersion}}'],
    mend: 'as root, start the engine (systemctl start docker) and let your user use it (adduser USER docker, then log in anew)',
  },
  {
    name: 'chromium',
    commands: ['chromium', 'chromium-browser', 'google-chrome'],
    versionArguments: ['--version'],
    gives: 'tests of the web page',
    package: 'chromium',
  },
  {
    name: 'bats',
    commands: ['bats'],
    versionArguments: ['--version'],
    gives: 'in-image tests written for bats',
    package: 'bats',
  },
  {
    name: 'packer',
    commands: ['packer'],
    versionArguments: ['version'],
    gives: 'machine images',
    package: 'packer',
  },
  {
    name: 'consul',
    commands: ['consul'],
    versionArguments: ['version'],
    gives: 'config trees kept in Consul',
    package: 'none in Debian 12; from releases.hashicorp.com',
  },
];
