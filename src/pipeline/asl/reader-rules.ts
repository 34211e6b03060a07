/** Fields of a ReaderConfig that say one thing only together, or contradict each other: AWS refuses them too. */
import type { MapState } from './definition.ts';
import type { DefinitionFault, DefinitionPath } from './faults.ts';

type ReaderConfig = NonNullable<NonNullable<MapState['ItemReader']>['ReaderConfig']>;

const IN_ATHENA_MANIFEST: readonly unknown[] = ['CSV', 'JSONL', 'PARQUET'];

export function readerFaults(
  { InputType, ManifestType, Transformation, CSVHeaderLocation, CSVHeaders }: ReaderConfig,
  path: DefinitionPath,
): readonly DefinitionFault[] {
  const fault = (field: keyof ReaderConfig, message: string, expected: string): DefinitionFault => ({
    path: [...path, field],
    at: 'key',
    message,
    expected,
  });
  return [
    ...(ManifestType === 'ATHENA_DATA' && !IN_ATHENA_MANIFEST.includes(InputType)
      ? [
          fault(
            'ManifestType',
            'what the files of the manifest hold is not clear',
            'InputType: CSV, JSONL or PARQUET',
          ),
        ]
      : []),
    ...(ManifestType === 'S3_INVENTORY' && InputType !== undefined
      ? [
          fault(
            'InputType',
            'the files of an inventory are CSV',
            'no InputType beside ManifestType: S3_INVENTORY',
          ),
        ]
      : []),
    ...(Transformation === 'LOAD_AND_FLATTEN' && (InputType === undefined || InputType === 'MANIFEST')
      ? [
          fault(
            'Transformation',
            'what the listed files hold is not clear',
            'InputType: CSV, JSON, JSONL or PARQUET',
          ),
        ]
      : []),
    ...(CSVHeaderLocation === 'GIVEN' && CSVHeaders === undefined
      ? [fault('CSVHeaderLocation', 'the headers are not given', 'CSVHeaders')]
      : []),
  ];
}
