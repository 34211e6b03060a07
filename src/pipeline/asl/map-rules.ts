/** What a schema cannot say of Map states. AWS refuses the same when a machine is created. */
import type { MapState } from './definition.ts';
import type { DefinitionFault, DefinitionPath } from './faults.ts';
import { readerFaults } from './reader-rules.ts';
import { bothFaults, twinFaults } from './twin-rules.ts';

const DISTRIBUTED_ONLY = ['ItemReader', 'ItemBatcher', 'ResultWriter', 'Label'] as const;
/** It becomes a part of names (ARNs) on AWS. */
const NOT_IN_LABEL = /[\s?*<>{}[\]:;,\\|^~$#%&`"\p{Cc}]/u;

export function mapFaults(state: MapState, path: DefinitionPath): readonly DefinitionFault[] {
  const processor = state.ItemProcessor ?? state.Iterator;
  if (processor === undefined || (state.ItemProcessor !== undefined && state.Iterator !== undefined)) {
    return [
      { path, at: 'key', message: 'what to do with each item is not clear', expected: 'one ItemProcessor' },
    ];
  }
  const faults = [...bothFaults(state, path, 'Parameters', 'ItemSelector'), ...twinFaults(state, path)];
  if (processor.ProcessorConfig?.Mode === 'DISTRIBUTED')
    return [...faults, ...distributedFaults(state, path)];
  return [
    ...faults,
    ...DISTRIBUTED_ONLY.filter((field) => state[field] !== undefined).map((field) => ({
      path: [...path, field],
      at: 'key' as const,
      message: `"${field}" is a field of a distributed Map`,
      expected: 'ItemProcessor.ProcessorConfig.Mode: DISTRIBUTED',
    })),
  ];
}

function distributedFaults(
  { ItemReader, ItemBatcher, Label = '' }: MapState,
  path: DefinitionPath,
): readonly DefinitionFault[] {
  const config = ItemReader?.ReaderConfig;
  const configPath = [...path, 'ItemReader', 'ReaderConfig'];
  return [
    ...(config === undefined ? [] : [...twinFaults(config, configPath), ...readerFaults(config, configPath)]),
    ...(ItemBatcher === undefined ? [] : batcherFaults(ItemBatcher, [...path, 'ItemBatcher'])),
    ...(NOT_IN_LABEL.test(Label)
      ? [
          {
            path: [...path, 'Label'],
            at: 'value' as const,
            message: 'a label has neither blanks nor brackets nor special characters',
            found: Label,
          },
        ]
      : []),
  ];
}

function batcherFaults(
  batcher: NonNullable<MapState['ItemBatcher']>,
  path: DefinitionPath,
): readonly DefinitionFault[] {
  const { MaxItemsPerBatch, MaxItemsPerBatchPath, MaxInputBytesPerBatch, MaxInputBytesPerBatchPath } =
    batcher;
  const isLimited = [
    MaxItemsPerBatch,
    MaxItemsPerBatchPath,
    MaxInputBytesPerBatch,
    MaxInputBytesPerBatchPath,
  ];
  if (isLimited.some((limit) => limit !== undefined)) return twinFaults(batcher, path);
  return [
    {
      path,
      at: 'key',
      message: 'how large a batch may be is not clear',
      expected: 'MaxItemsPerBatch or MaxInputBytesPerBatch',
    },
  ];
}
