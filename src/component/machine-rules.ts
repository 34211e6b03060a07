/** What must hold between the fields of `image.machine`. */
import type { Finding } from './faults.ts';
import type { MachineInput } from './image-shape.ts';
import { finding } from './scope.ts';

/** Builders that make an image in each of the provider's regions. */
const REGIONAL = ['amazon-ebs', 'amazon-chroot', 'amazon-instance', 'digitalocean'];

export function machineFindings(machine: MachineInput | undefined): readonly Finding[] {
  if (machine === undefined) {
    return [
      finding(['image', 'machine'], '"machine" is missing', {
        at: 'key',
        expected: '{packer: …}, or {builder, source, …}',
      }),
    ];
  }
  const described = (
    [
      'builder',
      'source',
      'regions',
      'architectures',
      'provisioners',
      'disk',
      'user',
      'formats',
      'options',
    ] as const
  ).filter((key) => machine[key] !== undefined);
  if (machine.packer !== undefined) {
    return described.map((key) =>
      finding(['image', 'machine', key], `"${key}" means nothing beside "packer"`, {
        at: 'key',
        expected: 'this in the Packer template',
      }),
    );
  }
  const { builder = '' } = machine;
  const needed = [
    'builder' as const,
    ...(builder === 'null' ? [] : ['source' as const]),
    ...(REGIONAL.includes(builder) ? ['regions' as const] : []),
  ];
  const missing = needed
    .filter((key) => machine[key] === undefined || machine[key]?.length === 0)
    .map((key) =>
      finding(['image', 'machine', key], `"${key}" is missing`, {
        at: 'key',
        expected: key === 'regions' ? 'at least one region' : `"${key}", or "packer"`,
      }),
    );
  const idle = (
    [
      ['regions', REGIONAL.includes(builder)],
      ['formats', builder === 'chroot'],
    ] as const
  )
    .filter(([key, used]) => !used && builder !== '' && machine[key] !== undefined)
    .map(([key]) =>
      finding(['image', 'machine', key], `"${key}" means nothing for ${builder}`, {
        at: 'key',
        expected: `a builder with ${key}`,
      }),
    );
  return [...missing, ...idle];
}
