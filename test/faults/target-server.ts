/** A stand-in for a server, to be killed: opens the target of a fixture, does one thing, says so and stays. */
import { writeSync } from 'node:fs';
import { groupSpec, NEVER, serving, TargetFixture } from '../contracts/target-fixture.ts';

const { directory, artifact, isolation, run, listens, act } = JSON.parse(process.argv[2] ?? '{}');
const target = await TargetFixture.at(directory, isolation === 'none' ? { isolation } : {}).target();
// The component of the test that started this process.
const component = `shop-${process.ppid}`;
const spec = groupSpec(artifact, { component, run, process: { listens } });
if (act === 'run') {
  void target.runOnce(spec, run, 'the run', 1, 60_000, NEVER);
} else {
  await target.ensure(spec, 1, { afresh: false }, NEVER);
  if (listens) await serving(target, spec);
}
const { isolation: got } = await target.capabilities(NEVER);
writeSync(1, `ready ${got}\n`);
setInterval(() => undefined, 60_000);
