/**
 * Reads the items of distributed Maps and writes their results. What is read is an event, stored before any item is
 * begun: after a crash the items are the same, whatever the file holds by then. Results are written again then, under
 * the same names.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { S3 } from '../../amazon/s3.ts';
import { KilnError } from '../../domain/errors.ts';
import type { ReadItems, WriteResults } from '../asl/execution.ts';
import { StateFailure } from '../asl/failure.ts';
import { isObject, type Json } from '../asl/json.ts';
import { mayChange } from '../commands/secret-values.ts';
import { transferResource } from '../definition/transfer-resources.ts';
import type { SourceHere, TaskCall } from '../task.ts';
import { ItemReading, type ReadItemFile } from './item-reading.ts';
import { bucketSource, folderSource, type ItemSource } from './item-sources.ts';
import { type ResultFile, resultFiles } from './result-files.ts';

export interface MapTransfersParts {
  readonly s3: Pick<S3, 'get' | 'put' | 'list'>;
  readonly readFile: ReadItemFile;
  /** Keeps the files together as one artifact; its digest. */
  readonly keep: (files: readonly ResultFile[], signal: AbortSignal) => Promise<string>;
  readonly sourceHere?: SourceHere;
}

/** For whom: `rights` say whether the server's keys are lent, and the input where the source is. */
export interface TransferOwner extends Pick<TaskCall, 'rights'> {
  readonly input: Json;
}

const name = z.string().min(1);
const owner = { ExpectedBucketOwner: name.optional() };
const bucketObject = z.strictObject({ Bucket: name, Key: name, VersionId: name.optional(), ...owner });
const bucketPrefix = z.strictObject({ Bucket: name, Prefix: z.string().default('') });
const bucketListing = bucketPrefix.extend(owner);
const filePath = z.strictObject({ Path: name });
const filePrefix = z.strictObject({
  Prefix: z
    .string()
    .default('')
    .refine((text) => !text.startsWith('/') && !text.split('/').includes('..'), {
      error: 'a path that leads nowhere else',
    }),
});

export class MapTransfers {
  readonly #parts: MapTransfersParts;

  constructor(parts: MapTransfersParts) {
    this.#parts = parts;
  }

  /** Fails with a KilnError, or a StateFailure that says what is wrong with the file. */
  async read(request: ReadItems, owner: TransferOwner, signal: AbortSignal): Promise<readonly Json[]> {
    const { config, arguments: given } = request;
    const reading = new ItemReading(config, this.#parts.readFile, signal);
    switch (transferResource('ItemReader', request.resource)) {
      case 's3:getObject': {
        const { Bucket, Key, VersionId, ExpectedBucketOwner } = argumentsFor(bucketObject, given);
        const which = { versionId: VersionId, bucketOwner: ExpectedBucketOwner };
        return reading.ofFile(bucketSource(this.#s3(owner), Bucket, which), Key);
      }
      case 's3:listObjectsV2': {
        const { Bucket, Prefix, ExpectedBucketOwner } = argumentsFor(bucketListing, given);
        const which = { bucketOwner: ExpectedBucketOwner };
        return reading.ofListing(bucketSource(this.#s3(owner), Bucket, which), Prefix);
      }
      case 'file:read': {
        const { Path } = argumentsFor(filePath, given);
        return reading.ofFile(await this.#folder(owner, signal), Path);
      }
      case 'file:list': {
        const { Prefix } = argumentsFor(filePrefix, given);
        return reading.ofListing(await this.#folder(owner, signal), Prefix);
      }
      default:
        throw new KilnError('input.invalid', `Nothing reads items from ${request.resource}.`);
    }
  }

  /** `ResultWriterDetails`. */
  async write(request: WriteResults, owner: TransferOwner, signal: AbortSignal): Promise<Json> {
    switch (transferResource('ResultWriter', request.resource)) {
      case 's3:putObject': {
        const { Bucket, Prefix } = argumentsFor(bucketPrefix, request.arguments);
        const s3 = this.#s3(owner);
        const files = resultFiles(request, { bucket: Bucket, prefix: Prefix });
        for (const { key, text } of files) {
          const sha256 = createHash('sha256').update(text).digest('hex');
          await s3.put(Bucket, key, new Blob([text]), sha256, signal);
        }
        return { Bucket, Key: files.at(-1)?.key ?? '' };
      }
      case 'file:write': {
        const { Prefix } = argumentsFor(filePrefix, request.arguments);
        const files = resultFiles(request, { bucket: '', prefix: Prefix });
        const artifact = await this.#parts.keep(files, signal);
        return { Bucket: '', Key: files.at(-1)?.key ?? '', Artifact: artifact };
      }
      default:
        throw new KilnError('input.invalid', `Nothing writes results to ${request.resource}.`);
    }
  }

  async #folder(owner: TransferOwner, signal: AbortSignal): Promise<ItemSource> {
    const { sourceHere } = this.#parts;
    const input = sourceHere === undefined ? owner.input : await sourceHere(owner.input, owner.input, signal);
    return folderSource(sourceOf({ input }), () => this.#s3(owner));
  }

  /** The server's keys: what comes from outside, such as a fork, is lent none. */
  #s3(owner: TransferOwner): MapTransfersParts['s3'] {
    if (mayChange(owner)) return this.#parts.s3;
    throw new KilnError('auth.denied', 'An execution that may change nothing is lent no keys to S3.', {
      next: 'Start it as a deployer.',
    });
  }
}

/** Why it failed, in words for `Cause`. */
export function transferCause(thrown: unknown): string {
  if (thrown instanceof StateFailure) return thrown.failure.cause ?? '';
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function argumentsFor<Shape extends z.ZodType>(shape: Shape, given: Json): z.infer<Shape> {
  const read = shape.safeParse(given);
  if (read.success) return read.data;
  const faults = read.error.issues.map(({ path, message }) =>
    `${path.join('.')}: ${message}`.replace(/^: /, ''),
  );
  throw new KilnError('input.invalid', `What it is asked for is not clear: ${faults.join('; ')}`);
}

function sourceOf({ input }: Pick<TransferOwner, 'input'>): string {
  const trigger = isObject(input) ? input.trigger : undefined;
  const source = isObject(trigger) ? trigger.source : undefined;
  const location = isObject(source) ? source.location : undefined;
  if (typeof location === 'string' && location.startsWith('/')) return location;
  throw new KilnError('not-found', 'The execution has no folder of its own to read from.');
}
