import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** By what they start: whole servers that die, servers, machines, single parts. What only computes comes after them. */
const FOLDERS = ['test/faults/', 'test/e2e/', 'test/machine/', 'test/contracts/', 'test/'];

/** Begins with what takes longest: begun last, it would hold up the end of the run alone, on one core. */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => this.#rank(one) - this.#rank(other));
  }

  #rank({ moduleId }: TestSpecification): number {
    const file = moduleId.slice(this.ctx.config.root.length + 1);
    const rank = FOLDERS.findIndex((folder) => file.startsWith(folder));
    return rank === -1 ? FOLDERS.length : rank;
  }
}
