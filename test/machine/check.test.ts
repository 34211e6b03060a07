/** Machine images are booted fresh for their checks: in a real Docker engine, and in namespaces where there is none. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FileBlobStore } from '../../src/bakery/blobs.ts';
import type { MachineTrials } from '../../src/bakery/machine/boot/machine-trials.ts';
import { storeMachineFile } from '../../src/bakery/machine/stored-files.ts';
import { checkImage } from '../../src/checks/image-check.ts';
import { readComponent } from '../../src/component/read.ts';
import type { CheckResult, Image, StoredArtifact } from '../../src/domain/image.ts';
import { systemClock } from '../../src/server/system-clock.ts';
import { DOCKER_SOCKET, dockerAnswers, NO_DOCKER } from '../docker.ts';
import { NEVER, scratch, writeTree } from '../e2e/bake-fixture.ts';
import { buildProcesses, missingTool } from './machine-fixture.ts';
import { archiveSmallMachine, type SmallMachine, writeSmallMachine } from './small-machine.ts';
import { machinesInDocker, trialsAt } from './trial-fixture.ts';

const missing = missingTool({ bwrap: 'bubblewrap', setpriv: 'util-linux', bats: 'bats', perl: 'perl-base' });
const ROOMS = [
  { room: 'Docker', socket: DOCKER_SOCKET },
  { room: 'namespaces', socket: '/nowhere/docker.sock' },
].filter(({ room }) => room !== 'Docker' || dockerAnswers);
const LIMIT_MS = 180_000;
const NOBODY = 65_534;
const lent = /^(nobody|65534):/m;
const noIds =
  process.getuid?.() === 0 && lent.test(readFileSync('/etc/subuid', 'utf8'))
    ? undefined
    : 'needs root, and a range for nobody in /etc/subuid and /etc/subgid';

let folder: string;
let removeFolder: () => Promise<void>;
let state: string;
let blobs: FileBlobStore;
const opened: MachineTrials[] = [];
let whole: StoredArtifact;
/** Without bash, without /tmp, without any shell. */
let unfit: readonly StoredArtifact[];

beforeAll(async () => {
  const made = await scratch();
  folder = made.directory;
  removeFolder = made.remove;
  state = path.join(folder, 'state');
  blobs = new FileBlobStore(path.join(state, 'blobs'));
  chmodSync(folder, 0o755);
  await writeSmallMachine(path.join(folder, 'root'));
  whole = await small('whole', {
    files: {
      'opt/tests/good.bats': [
        '@test "the service answers from inside" {',
        '  [ -n "$BASE_URL" ]',
        '  run perl -MIO::Socket::INET -e \'my ($h) = $ENV{BASE_URL} =~ m{//(.*)}; my $s = IO::Socket::INET->new($h) or exit 1; print $s "GET / HTTP/1.0\\r\\n\\r\\n"; print <$s>\'',
        '  [[ "$output" == *"version 1.2.3"* ]]',
        '}',
        '@test "it may write, to /tmp and elsewhere" { : >/tmp/a; : >/etc/b; }',
        `@test "nothing of the host is there" { [ ! -e ${folder} ]; [ ! -e ${import.meta.filename} ]; }`,
      ].join('\n'),
      'opt/tests/bad.bats': '@test "one and one is three" { [ $((1 + 1)) = 3 ]; }\n',
      'opt/tests/ok.sh': 'test -d /opt/tests\n',
      'opt/tests/broken.sh': 'echo no good; exit 7\n',
    },
  });
  const files = { 'opt/t.bats': '@test "a" { true; }\n' };
  unfit = await Promise.all(
    ([['bash'], ['tmp'], ['sh', 'bash']] as const).map((without) =>
      small(without.join('-'), { files, without }),
    ),
  );
}, LIMIT_MS);

afterAll(async () => {
  for (const trials of opened) trials.close();
  await removeFolder();
});

async function small(name: string, wish: SmallMachine): Promise<StoredArtifact> {
  const file = path.join(folder, `${name}.tar`);
  await archiveSmallMachine(file, path.join(folder, 'root'), wish);
  return storeMachineFile(blobs, { file, form: 'rootfs', arch: 'amd64' }, NEVER);
}

function openTrials(socket: string): MachineTrials {
  const trials = trialsAt(state, socket);
  opened.push(trials);
  return trials;
}

let components = 0;

/** An image as a bake would have recorded it. */
async function imageOf(artifact: Image['artifacts'][number], yaml: string, files = {}): Promise<Image> {
  components += 1;
  const directory = path.join(folder, `component-${components}`);
  const head = `component: box\nimage: {kind: machine, machine: {builder: chroot, source: bookworm}, tests: [`;
  await writeTree(directory, { 'kiln.yaml': head + yaml, ...files });
  const { definition } = await readComponent(directory);
  const record = { id: 'image-1', component: definition.component, version: '1.2.3', inputKey: 'sha256:0' };
  const rest = { tags: {}, definition, artifacts: [artifact], checks: [], createdAtMs: 0 };
  return { ...record, ...rest } as unknown as Image;
}

async function checked(image: Image, socket: string): Promise<readonly CheckResult[]> {
  const trials = openTrials(socket);
  const { digest } = await trials.bootable(image);
  const fixed = {
    fence: 1,
    release: 1,
    clock: systemClock,
    newId: () => crypto.randomUUID(),
    signal: NEVER,
  } as const;
  const files = [{ path: 'etc/box.conf', content: 'from Kiln\n' }];
  const isIdle = image.definition.defaults.processes.every(({ instances }) => instances.desired === 0);
  return trials.in(
    { isIdle },
    (target) =>
      checkImage({
        image,
        artifact: digest,
        target,
        environment: { COLOUR: 'red' },
        files,
        ...fixed,
      } as Parameters<typeof checkImage>[0]),
    NEVER,
  );
}

const outcomes = (results: readonly CheckResult[]) =>
  Object.fromEntries(results.map(({ kind, passedCount, failures }) => [kind, { passedCount, failures }]));

function expectNothingLeft(): void {
  expect(readdirSync(path.join(state, 'tmp'))).toEqual([]);
  expect(buildProcesses(state)).toEqual([]);
  expect(machinesInDocker(state)).toEqual([]);
}

if (!dockerAnswers) test.skip(`in Docker: ${NO_DOCKER}`);

describe.skipIf(missing !== undefined)(
  `a machine image${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    describe.for(ROOMS)('in $room', { timeout: LIMIT_MS }, ({ socket }) => {
      test('serves, answers its check file, and runs its own tests beside the service', async () => {
        const yaml =
          'opt/tests/good.bats, opt/tests/*.sh]}\nservice: {run: "grep -q Kiln etc/box.conf && [ $COLOUR = red ] && exec perl /opt/serve", health: /, port: 8099}\nchecks: [smoke.yaml]\n';
        const smoke = {
          'smoke.yaml':
            'tests:\n  - {name: front, uri: /, outcomes: {response_body_contains: version 1.2.3}}\n',
        };
        expect(outcomes(await checked(await imageOf(whole, yaml, smoke), socket))).toEqual({
          boot: { passedCount: 1, failures: [] },
          smoke: { passedCount: 2, failures: [] },
          'in-image': {
            passedCount: 4,
            failures: [expect.stringMatching(/^opt\/tests\/broken\.sh: ended with exit code 7: no good/)],
          },
        });
        expectNothingLeft();
      });

      test('that does not come up says why; a worker that stays is tested', async () => {
        const ends = await imageOf(whole, ']}\nservice: {run: "echo no database; exit 5"}\n');
        expect(outcomes(await checked(ends, socket)).boot?.failures).toEqual([
          expect.stringMatching(/^web: it exited with code 5[\s\S]*no database/),
        ]);
        const worker = await imageOf(
          whole,
          'opt/tests/bad.bats, opt/tests/none.bats]}\nprocesses: {worker: {run: sleep 600}}\n',
        );
        expect(outcomes(await checked(worker, socket))).toMatchObject({
          boot: { passedCount: 1 },
          'in-image': {
            failures: [expect.stringContaining('one and one is three'), expect.stringContaining('none.bats')],
          },
        });
        expectNothingLeft();
      });

      test('without bash, without a /tmp to write to, or without any shell is named as such', async () => {
        const failure = async (machine: StoredArtifact): Promise<unknown> => {
          const yaml = 'opt/t.bats]}\nprocesses: {worker: {run: sleep 600}}\n';
          return checked(await imageOf(machine, yaml), socket).catch((error: unknown) => error);
        };
        expect(await Promise.all(unfit.map(failure))).toMatchObject([
          { code: 'tool.missing', details: { tool: 'bash' } },
          { code: 'image.unfit', message: expect.stringMatching(/temporary files/) },
          { code: 'image.unfit', message: expect.stringMatching(/Nothing can be run/) },
        ]);
        expectNothingLeft();
      });

      test('that runs nothing by itself is booted all the same', async () => {
        const job = 'processes: {job: {run: "true", instances: 0}}\n';
        const tested = await imageOf(whole, `opt/tests/ok.sh]}\n${job}`);
        expect(outcomes(await checked(tested, socket))['in-image']).toEqual({ passedCount: 1, failures: [] });
        const dead = await imageOf(unfit.at(-1) ?? expect.unreachable(), `]}\n${job}`);
        await expect(checked(dead, socket)).rejects.toMatchObject({ code: 'image.unfit' });
        expectNothingLeft();
      });

      test('whose check is killed in the middle leaves nothing, once the next server begins', async () => {
        const place = path.join(folder, `killed-${socket === DOCKER_SOCKET}`);
        mkdirSync(place);
        // In Docker as whoever may ask the engine, in namespaces as an ordinary user.
        const asNobody = socket !== DOCKER_SOCKET && noIds === undefined;
        if (asNobody) chownSync(place, NOBODY, NOBODY);
        const script = path.join(import.meta.dirname, 'trial-process.ts');
        const as = asNobody ? { uid: NOBODY, gid: NOBODY } : {};
        const child = fork(script, [place, socket, path.join(folder, 'whole.tar')], { execArgv: [], ...as });
        const ended = once(child, 'close').then((how) => how.map((one) => `ended: ${String(one)}`));
        const said = await Promise.race([once(child, 'message'), ended]);
        expect(said[0]).toBe('booted');
        child.kill('SIGKILL');
        await ended;
        expect(readdirSync(path.join(place, 'tmp'))).toHaveLength(1);
        if (socket === DOCKER_SOCKET) expect(machinesInDocker(place)).not.toEqual([]);
        const deadline = performance.now() + 60_000;
        while (buildProcesses(place).length > 0 && performance.now() < deadline) await sleep(50);
        expect(buildProcesses(place)).toEqual([]);
        const next = trialsAt(place, socket);
        await next.sweep();
        next.close();
        expect(readdirSync(path.join(place, 'tmp'))).toEqual([]);
        expect(machinesInDocker(place)).toEqual([]);
      });
    });
  },
);
