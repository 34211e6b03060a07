/** A process of its own that bakes: what the fault tests kill, or run as another user. Prints the outcome as JSON. */
import { openKitchen } from '../e2e/bake-fixture.ts';

const [state = '', source = '', sandbox = '/nowhere/bwrap'] = process.argv.slice(2);
const kitchen = await openKitchen(state, sandbox);
await kitchen.bakery.sweep();
process.stdout.write('ready\n');
const outcome = await kitchen.bake(source);
const said =
  outcome.kind === 'failed'
    ? { kind: outcome.kind, code: outcome.error.code, message: outcome.error.message }
    : { kind: outcome.kind, digest: outcome.image.artifacts[0]?.digest, id: outcome.image.id };
await kitchen.close();
process.stdout.write(`${JSON.stringify(said)}\n`);
