/** What a Packer template is written from. */
import type { BuildNaming } from '../../../domain/ports/builder.ts';
import type { DescribedMachine } from '../described-machine.ts';

export interface TemplateRequest {
  readonly spec: DescribedMachine;
  readonly component: string;
  readonly naming: BuildNaming;
  /** The image to start from, as the provider knows it. */
  readonly sourceOf: (arch: string, region: string | undefined) => string;
  /** True when the catalogue told the source. */
  readonly fromCatalogue: boolean;
  /** Absolute folder of the `commandScripts`. */
  readonly scripts: string;
  /** Absolute folder for what is made on this machine. */
  readonly outputs: string;
  /** Names of the secrets that the variables file holds. */
  readonly variables: ReadonlySet<string>;
  /** Where Amazon's EC2 answers, when not where it always does. */
  readonly endpoint?: string;
}

/** What one builder block is written from. */
export interface BlockRequest extends Omit<TemplateRequest, 'sourceOf'> {
  readonly arch: string;
  readonly region: string | undefined;
  readonly source: string;
}
