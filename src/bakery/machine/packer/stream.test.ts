import fc from 'fast-check';
import { expect, test } from 'vitest';
import { stepTimedOut } from './step-timeout.ts';
import { type PackerEvent, PackerStream } from './stream.ts';

/** As Packer 1.6.6 wrote it: two regions side by side, and a step that failed. */
const TWO_REGIONS = `1795247292,,ui,say,==> us-east-1.amd64: Prevalidating AMI Name: web-1.0-amd64-2026
1795247293,,ui,message,    us-east-1.amd64: Adding tag: "odd": "a%!(PACKER_COMMA)b"
1795247293,,ui,say,Build 'eu-west-1.amd64' finished after 1 second 670 milliseconds.
1795247293,,ui,say,\\n==> Builds finished. The artifacts of successful builds are:
1795247293,eu-west-1.amd64,artifact-count,1
1795247293,eu-west-1.amd64,artifact,0,builder-id,mitchellh.amazonebs
1795247293,us-east-1.amd64,artifact,0,builder-id,mitchellh.amazonebs
1795247293,eu-west-1.amd64,artifact,0,id,eu-west-1:ami-c39275e61e4ef9596
1795247293,us-east-1.amd64,artifact,0,id,us-east-1:ami-08b808c96d7e66121%!(PACKER_COMMA)eu-north-1:ami-1
1795247293,eu-west-1.amd64,artifact,0,string,AMIs were created:\\neu-west-1: ami-c39275e61e4ef9596\\n
1795247293,eu-west-1.amd64,artifact,0,files-count,0
1795247293,eu-west-1.amd64,artifact,0,end
1795247293,us-east-1.amd64,artifact,0,end
1795246960,one,artifact,0,builder-id,packer.file
1795246960,one,artifact,0,file,0,/tmp/made/out.bin
1795246960,one,artifact,0,end
1795246960,cut,artifact,0,builder-id,packer.file
`;
const FAILED = `1795246961,,ui,error,==> nn: Cancelling provisioner after a timeout...
1795246961,,error-count,1
1795246961,nn,error,Error executing script: /tmp/packer-shell998029680\\n\\nPlease see output above for more information.
panic: not Packer's own, and no fields`;

function read(pieces: readonly string[]): PackerEvent[] {
  const stream = new PackerStream();
  return [...pieces.flatMap((piece) => stream.push(piece)), ...stream.end()];
}

test('artifacts of builds that run side by side are told apart; one that is cut off is none', () => {
  const artifacts = read([TWO_REGIONS]).filter((event) => event.kind === 'artifact');
  expect(artifacts).toEqual([
    {
      kind: 'artifact',
      build: 'eu-west-1.amd64',
      builderId: 'mitchellh.amazonebs',
      id: 'eu-west-1:ami-c39275e61e4ef9596',
      description: 'AMIs were created:\neu-west-1: ami-c39275e61e4ef9596',
      files: [],
    },
    {
      kind: 'artifact',
      build: 'us-east-1.amd64',
      builderId: 'mitchellh.amazonebs',
      id: 'us-east-1:ami-08b808c96d7e66121,eu-north-1:ami-1',
      description: '',
      files: [],
    },
    {
      kind: 'artifact',
      build: 'one',
      builderId: 'packer.file',
      id: '',
      description: '',
      files: ['/tmp/made/out.bin'],
    },
  ]);
});

test('what it says keeps its commas, its build and its weight', () => {
  const said = read([TWO_REGIONS, FAILED]).filter((event) => event.kind !== 'artifact');
  expect(said).toContainEqual({
    kind: 'said',
    build: 'us-east-1.amd64',
    text: 'Adding tag: "odd": "a,b"',
    atS: 1795247293,
    level: 'detail',
  });
  expect(said).toContainEqual({
    kind: 'said',
    build: 'nn',
    text: 'Cancelling provisioner after a timeout...',
    atS: 1795246961,
    level: 'error',
  });
  expect(said).toContainEqual({
    kind: 'error',
    build: 'nn',
    text: 'Error executing script: /tmp/packer-shell998029680\n\nPlease see output above for more information.',
  });
  expect(said.at(-1)).toEqual({
    kind: 'said',
    text: "panic: not Packer's own, and no fields",
    level: 'detail',
  });
});

test('in whatever pieces it comes, the same is read', () => {
  const whole = TWO_REGIONS + FAILED;
  const events = read([whole]);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: whole.length }), { maxLength: 40 }), (cuts) => {
      const places = [0, ...cuts.toSorted((a, b) => a - b), whole.length];
      const pieces = places.slice(1).map((end, index) => whole.slice(places[index], end));
      expect(read(pieces)).toEqual(events);
    }),
  );
});

test('nothing that comes makes it fail', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (pieces) => {
      read(pieces);
    }),
  );
});

test('a step that went on until its limit has timed out, whether or not Packer comes to say so', () => {
  const events = (endS: number): PackerEvent[] =>
    read([
      '100,,ui,say,==> nn: Setting a 1m40s timeout for the next provisioner...\n',
      '101,,ui,say,==> other: Setting a 5s timeout for the next provisioner...\n',
      `${endS},,ui,error,Build 'nn' errored after 2 minutes: it was ended\n`,
    ]);
  expect(stepTimedOut(events(200))).toBe(true);
  expect(stepTimedOut(events(198))).toBe(false);
  expect(stepTimedOut(read([FAILED]))).toBe(true);
});
