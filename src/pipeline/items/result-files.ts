/**
 * What a ResultWriter writes, as docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html has it:
 * files of those that succeeded and of those that failed, and a manifest that names them. Pure.
 */
import { endedChild } from '../asl/ended-child.ts';
import type { MapChild, WriteResults } from '../asl/execution.ts';
import { isArray, type Json, type JsonObject } from '../asl/json.ts';

export interface ResultFile {
  /** From the bucket's beginning. */
  readonly key: string;
  readonly text: string;
}

/** The manifest is the last: whoever finds it finds all. */
export function resultFiles(
  { config, mapRunId, mapRunArn, machine, outputs, children }: WriteResults,
  { bucket, prefix }: { readonly bucket: string; readonly prefix: string },
): readonly ResultFile[] {
  const folder = prefix === '' ? mapRunId : `${prefix.replace(/\/$/, '')}/${mapRunId}`;
  const inOrder = children.toSorted((one, other) => one.index - other.index);
  const ended = (child: MapChild) => endedChild(child, outputs[child.index] ?? null, machine);
  const failed = inOrder.filter((child) => child.failure !== undefined).map(ended);
  const succeeded = inOrder.filter((child) => child.failure === undefined);
  const results = transformed(
    config.Transformation,
    () => succeeded.map(ended),
    () => succeeded.map(({ index }) => outputs[index] ?? null),
  );
  const isLines = config.OutputType === 'JSONL';
  const file = (name: string, values: readonly Json[]): readonly ResultFile[] =>
    values.length === 0
      ? []
      : [{ key: `${folder}/${name}_0.${isLines ? 'jsonl' : 'json'}`, text: written(values, isLines) }];
  const [good, bad] = [file('SUCCEEDED', results), file('FAILED', failed)];
  const manifest = {
    DestinationBucket: bucket,
    MapRunArn: mapRunArn,
    ResultFiles: { FAILED: bad.map(sized), PENDING: [], SUCCEEDED: good.map(sized) },
  };
  return [...good, ...bad, { key: `${folder}/manifest.json`, text: JSON.stringify(manifest) }];
}

function transformed(how: Json | undefined, whole: () => readonly Json[], outputs: () => readonly Json[]) {
  if (how === 'COMPACT') return outputs();
  if (how === 'FLATTEN') return outputs().flatMap((output) => (isArray(output) ? output : [output]));
  return whole();
}

function written(values: readonly Json[], isLines: boolean): string {
  return isLines ? values.map((value) => `${JSON.stringify(value)}\n`).join('') : JSON.stringify(values);
}

function sized({ key, text }: ResultFile): JsonObject {
  return { Key: key, Size: Buffer.byteLength(text) };
}
