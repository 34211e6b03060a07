/**
 * Manifests: files that name the files that items are in. As AWS documents them: the list of an Amazon S3 Inventory
 * (docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html), and the data manifest that Athena's
 * UNLOAD leaves (docs.aws.amazon.com/athena/latest/ug/unload.html). Pure.
 */
import { readerFailure } from './item-reader.ts';
import { isArray, isObject, type Json, type JsonObject } from './json.ts';

export interface DataFile {
  /** Undefined: where the manifest is. */
  readonly bucket: string | undefined;
  readonly key: string;
}

export interface Manifest {
  readonly files: readonly DataFile[];
  /** How the files are to be read, as a ReaderConfig. */
  readonly config: JsonObject;
}

type ManifestType = 'S3_INVENTORY' | 'ATHENA_DATA';

/** Undefined: the file is data itself. */
export function manifestType({ ManifestType: type, InputType }: JsonObject): ManifestType | undefined {
  if (type === 'ATHENA_DATA' || type === 'S3_INVENTORY') return type;
  return InputType === 'MANIFEST' ? 'S3_INVENTORY' : undefined;
}

/** Throws StateFailure (`States.ItemReaderFailed`). */
export function parseManifest(type: ManifestType, content: string, config: JsonObject): Manifest {
  return type === 'ATHENA_DATA'
    ? { files: athenaFiles(content), config }
    : inventory(content, config.CSVDelimiter);
}

/** One `s3://BUCKET/KEY` a line. */
function athenaFiles(content: string): readonly DataFile[] {
  const lines = content.split('\n').map((line) => line.trim().replace(/^"(.*)"$/, '$1'));
  return lines.flatMap((line, at) => {
    if (line === '') return [];
    const [, bucket, key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(line) ?? [];
    if (bucket === undefined || key === undefined)
      throw readerFailure(`Line ${at + 1} of the manifest is no s3://BUCKET/KEY.`);
    return [{ bucket, key }];
  });
}

function inventory(content: string, delimiter: Json | undefined): Manifest {
  const { fileFormat, fileSchema, files, destinationBucket } = inventoryObject(content);
  if (fileFormat !== 'CSV') throw readerFailure('Only an S3 Inventory whose fileFormat is CSV can be read.');
  if (typeof fileSchema !== 'string' || !isArray(files))
    throw readerFailure('The file is no manifest of an S3 Inventory: it has no fileSchema or no files.');
  const bucket =
    typeof destinationBucket === 'string' ? destinationBucket.replace(/^arn:[^:]*:s3:::/, '') : undefined;
  return {
    files: files.map((file) => {
      if (isObject(file) && typeof file.key === 'string') return { bucket, key: file.key };
      throw readerFailure('The file is no manifest of an S3 Inventory: one of its files has no key.');
    }),
    config: {
      InputType: 'CSV',
      CSVHeaderLocation: 'GIVEN',
      CSVHeaders: fileSchema.split(',').map((column) => column.trim()),
      ...(delimiter !== undefined && { CSVDelimiter: delimiter }),
    },
  };
}

function inventoryObject(content: string): JsonObject {
  try {
    const value: Json = JSON.parse(content);
    if (isObject(value)) return value;
  } catch {
    // Told as below.
  }
  throw readerFailure('The file is no manifest of an S3 Inventory: it is not a JSON object.');
}
