/** The Router port's contract, the same for every driver. */
import { describe, it } from 'vitest';
import { forwardingContract } from './router-forwarding.ts';
import { livesContract } from './router-lives.ts';
import { SUBJECTS } from './router-subjects.ts';
import { tablesContract } from './router-tables.ts';

for (const subject of SUBJECTS) {
  if (subject.missing !== undefined && process.env.CI !== 'true') {
    describe(`the ${subject.name} router`, () => it.skip(subject.missing ?? '', () => undefined));
    continue;
  }
  describe(`the ${subject.name} router`, () => {
    forwardingContract(subject);
    tablesContract(subject);
    livesContract(subject);
  });
}
