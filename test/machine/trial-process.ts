/** A process of its own that boots a machine and stays with it: to be killed in the middle, or run by another user. */
import { FileBlobStore } from '../../src/bakery/blobs.ts';
import { storeMachineFile } from '../../src/bakery/machine/stored-files.ts';
import { parseComponent } from '../../src/component/parse.ts';
import { componentName, environmentName, type Fence, serviceKey } from '../../src/domain/ids.ts';
import { serverGroupName } from '../../src/domain/server-group.ts';
import { NEVER } from '../e2e/bake-fixture.ts';
import { trialsAt } from './trial-fixture.ts';

const [state = '', socket = '', archive = ''] = process.argv.slice(2);
const blobs = new FileBlobStore(`${state}/blobs`);
const stored = await storeMachineFile(blobs, { file: archive, form: 'rootfs', arch: 'amd64' }, NEVER);
const YAML = 'component: box\nprocesses: {worker: {run: "sleep 600"}}\n';
const [worker] = parseComponent(YAML, 'kiln.yaml').defaults.processes;
if (worker === undefined) throw new Error('it has a process');
const [component, environment] = [componentName('box'), environmentName('bake/local')];
const spec = {
  group: serverGroupName(component, worker.name, environment, 1, 'check'),
  service: serviceKey(component, environment),
  release: 1,
  version: '1.2.3',
  artifact: stored.digest,
  process: worker,
  environment: {},
  files: [],
  desired: 1,
  retire: [],
};
const trials = trialsAt(state, socket);
const working = trials.in(
  { isIdle: false },
  async (trial) => {
    await trial.prepare(spec.artifact, NEVER);
    await trial.ensure(spec, 1 as Fence, { afresh: true }, NEVER);
    process.send?.('booted');
    await new Promise(() => undefined);
  },
  NEVER,
);
await working.catch((error: unknown) => process.send?.(`failed ${String(error)}`));
