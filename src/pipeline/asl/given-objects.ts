/** What ItemReaders find in a run in virtual time: the objects that were given with it. */
import { manifestType, parseManifest } from './item-manifest.ts';
import { parseItems, readerFailure } from './item-reader.ts';
import { isObject, type Json, type JsonObject } from './json.ts';

export interface ReadableObject {
  readonly Bucket?: string;
  readonly Key: string;
  readonly Body: string;
}

/** Throws StateFailure (`States.ItemReaderFailed`). */
export function itemsOf(
  target: Json,
  config: JsonObject,
  objects: readonly ReadableObject[],
): readonly Json[] {
  const { Bucket, Key, Path, Prefix } = isObject(target) ? target : {};
  const name = Key ?? Path;
  if (name !== undefined) return itemsIn(found(objects, Bucket, name), config, objects);
  const listed = inBucket(objects, Bucket).filter(
    (object) => typeof Prefix !== 'string' || object.Key.startsWith(Prefix),
  );
  if (config.Transformation === 'LOAD_AND_FLATTEN')
    return listed.flatMap(({ Body }) => parseItems(Body, config));
  return listed.map((object) => ({ Key: object.Key, Size: Buffer.byteLength(object.Body) }));
}

function itemsIn(
  { Bucket, Body }: ReadableObject,
  config: JsonObject,
  objects: readonly ReadableObject[],
): readonly Json[] {
  const type = manifestType(config);
  if (type === undefined) return parseItems(Body, config);
  const manifest = parseManifest(type, Body, config);
  return manifest.files.flatMap(({ bucket = Bucket, key }) =>
    parseItems(found(objects, bucket, key).Body, manifest.config),
  );
}

function found(objects: readonly ReadableObject[], bucket: Json | undefined, name: Json): ReadableObject {
  const object = inBucket(objects, bucket).find(({ Key }) => Key === name);
  if (object === undefined) throw readerFailure(`There is no object ${String(name)}.`);
  return object;
}

function inBucket(objects: readonly ReadableObject[], bucket: Json | undefined): readonly ReadableObject[] {
  return objects.filter(({ Bucket }) => bucket === undefined || Bucket === bucket);
}
