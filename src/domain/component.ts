/**
 * What a `kiln.yaml` says, after it has been read, checked and given its defaults.
 * `src/component/` makes it from text; everything else works on this.
 */
import type { ChannelPolicy } from './channel-demands.ts';
import type { ChannelName, ComponentName, EnvironmentName, ProcessName } from './ids.ts';

export type ArtifactKind = 'bundle' | 'container' | 'machine';
export type Strategy = 'rolling' | 'blue-green' | 'canary';
export type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGQUIT' | 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2' | 'SIGKILL';

/** One command of a build. With `inputs` it sees only those paths and is cached by their content. */
export interface BuildStep {
  /** A line for `/bin/sh -ec`: the author's own text, run in a clean copy of the source. */
  readonly run: string;
  /** Paths or globs, relative to the component; undefined: the whole source, never cached. */
  readonly inputs?: readonly string[];
  /** Paths that the step makes; undefined: whatever it makes. */
  readonly outputs?: readonly string[];
  readonly timeoutMs: number;
}

/** A container made from the component's own Dockerfile. */
export interface ContainerSpec {
  readonly dockerfile: string;
  /** Stage of the Dockerfile; undefined: the last. */
  readonly stage?: string;
  readonly args: Readonly<Record<string, string>>;
  /** Ids of secrets that its build may mount; their values are the server's. */
  readonly secrets?: readonly string[];
  /** Its build may mount the server's SSH agent. */
  readonly ssh?: boolean;
}

/** One step of preparing a machine image. */
export type Provisioner = { readonly timeoutMs: number } & (
  | { readonly kind: 'run'; readonly command: string }
  | { readonly kind: 'shell'; readonly script: string }
  | { readonly kind: 'file'; readonly from: string; readonly to: string }
  | { readonly kind: 'ansible'; readonly playbook: string }
  | { readonly kind: 'puppet'; readonly manifest: string }
  | { readonly kind: 'chef'; readonly cookbooks: string; readonly runList: readonly string[] }
);

/** A machine image: the component's own Packer template, or a description from which one is written. */
export type MachineSpec =
  | { readonly kind: 'template'; readonly packer: string }
  | {
      readonly kind: 'described';
      readonly builder: string;
      /** `component@channel`, or the provider's own name of an image. */
      readonly source: string;
      readonly regions: readonly string[];
      readonly architectures: readonly string[];
      readonly provisioners: readonly Provisioner[];
      readonly diskBytes?: number;
      /** Who logs in to prepare it, where that is done over SSH. */
      readonly user?: string;
      /** Forms of a root filesystem beside the archive that there always is. */
      readonly formats: readonly DiskFormat[];
      /** What only this kind of builder knows, in its own words. */
      readonly options: Readonly<Record<string, BuilderOption>>;
    };

export type DiskFormat = 'squashfs' | 'qcow2';
export type BuilderOption = string | number | boolean | readonly (string | number | boolean)[];

/** How an image follows its base: see `catalog/rebake-plan.ts`. */
export interface RebakeSpec {
  /** Channels that the new image takes over from the one it replaces; `held`: each that holds that one. */
  readonly promote: 'held' | readonly ChannelName[];
}

export interface ImageSpec {
  readonly kind: ArtifactKind;
  /** `component@channel`, resolved to a digest when baked. */
  readonly base?: string;
  readonly build: readonly BuildStep[];
  /** Environment for the build commands; part of the input key. */
  readonly buildEnvironment: Readonly<Record<string, string>>;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** In-image tests (globs of .bats and .sh files). */
  readonly tests: readonly string[];
  /** Tags of every image baked from it, beside Kiln's own; part of the input key. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Bake again by itself when the base moves on; absent: never. */
  readonly rebake?: RebakeSpec;
  readonly container?: ContainerSpec;
  readonly machine?: MachineSpec;
}

/** The `component@channel` that an image is baked on; undefined where it stands on none that Kiln knows. */
export function baseReference(image: ImageSpec): string | undefined {
  if (image.base !== undefined) return image.base;
  const source = image.machine?.kind === 'described' ? image.machine.source : '';
  return IMAGE_REFERENCE.test(source) ? source : undefined;
}

/** `component@channel`, and not a provider's own name of an image. */
export const IMAGE_REFERENCE = /^[a-z][a-z0-9-]*@[a-z][a-z0-9-]*$/;

export interface Instances {
  readonly min: number;
  readonly desired: number;
  readonly max: number;
}

export interface StopPolicy {
  /** Sent in this order, the grace divided between them; SIGKILL always ends the list. */
  readonly signals: readonly StopSignal[];
  readonly graceMs: number;
}

export interface VolumeSpec {
  readonly name: string;
  /** Relative to the app's folder, or absolute (where the target can mount). */
  readonly path: string;
  /** False: only one instance may hold it at a time, so a new one starts after the old one has stopped. */
  readonly shared: boolean;
}

export interface HealthSpec {
  /** A path answering 2xx or 3xx when the instance can serve. */
  readonly path: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** How long a new instance may take until its first passed check. */
  readonly startupMs: number;
}

/** A way to run the image, as in a Procfile. */
export interface ProcessSpec {
  readonly name: ProcessName;
  /** A line for `/bin/sh -c "exec …"`: the author's own text. Empty: what the container image starts by itself. */
  readonly run: string;
  /** True when it listens on the PORT it is given and takes traffic. */
  readonly listens: boolean;
  /** The port inside the instance where the target gives each its own network; elsewhere PORT is chosen. */
  readonly port?: number;
  readonly health?: HealthSpec;
  /** `/service/status` and its kin are expected to answer in the documented shape. */
  readonly standard: boolean;
  readonly instances: Instances;
  readonly stop: StopPolicy;
  readonly volumes: readonly VolumeSpec[];
}

export interface ConfigFileSpec {
  /** Liquid template in the component, relative path. */
  readonly template: string;
  /** Where the rendered file appears, relative to the app's folder. */
  readonly path: string;
}

export interface ConfigSpec {
  readonly required: readonly string[];
  readonly values: Readonly<Record<string, string>>;
  /** Keys that instances also get as environment variables (`db_url` as `DB_URL`). */
  readonly env: 'all' | readonly string[];
  readonly files: readonly ConfigFileSpec[];
}

export interface DeploySpec {
  readonly strategy: Strategy;
  /** How long the replaced group is kept running, ready for an instant rollback. */
  readonly keepWarmMs: number;
  /** Limit from the first step to "deployed". */
  readonly timeoutMs: number;
  /** How many instances a rolling deployment adds at a time. */
  readonly batch: number;
  /** Canary: traffic shares in percent, each held for `everyMs`. */
  readonly steps: readonly number[];
  readonly everyMs: number;
}

export interface RouteSpec {
  /**
   * Lower-case host name. In `ComponentDefinition.defaults` it may hold `{component}`, `{environment}`, `{level}`
   * and `{region}`, which `resolveEnvironment` replaces.
   */
  readonly host: string;
  readonly path: string;
  readonly process: ProcessName;
}

/** What applies in one environment, after its overrides. */
export interface EnvironmentSpec {
  readonly processes: readonly ProcessSpec[];
  readonly config: ConfigSpec;
  readonly deploy: DeploySpec;
  readonly routes: readonly RouteSpec[];
  readonly migrate?: string;
  readonly checks: readonly string[];
  readonly target: string;
  /** The image that a bundle runs in, on targets that have no runtimes of their own. */
  readonly runtime?: string;
  /** A protected environment takes only images that this channel holds or held. */
  readonly channel?: ChannelName;
}

export interface ComponentDefinition {
  readonly component: ComponentName;
  /** From the file; absent: `git describe`, or `0.0.0`. */
  readonly version?: string;
  readonly image: ImageSpec;
  /** For environments that the file does not name. */
  readonly defaults: EnvironmentSpec;
  readonly environments: Readonly<Record<EnvironmentName, EnvironmentSpec>>;
  /** What the component's own file demands for its channels, beside what the server demands. */
  readonly channels?: Readonly<Record<ChannelName, ChannelPolicy>>;
  /** The pipeline's file, relative to the component. */
  readonly pipeline?: string;
  /**
   * Text of the files that a release needs and that are not in the image, by relative path: templates and checks.
   * With it the definition stands alone; a release never reads the source tree.
   */
  readonly attachments?: Readonly<Record<string, string>>;
}
