/** What a distributed Map may read its items from and write its results to. */

/** By the field, with the parameters that each takes. */
const TRANSFERS = {
  ItemReader: {
    's3:getObject': 'arn:aws:states:::s3:getObject',
    's3:listObjectsV2': 'arn:aws:states:::s3:listObjectsV2',
    'file:read': 'file.read',
    'file:list': 'file.list',
  },
  ResultWriter: { 's3:putObject': 'arn:aws:states:::s3:putObject', 'file:write': 'file.write' },
} as const;

/** Readers of what there is, and of what is in it only if told so. */
export const LISTINGS: ReadonlySet<string> = new Set(['s3:listObjectsV2', 'file:list']);

export type TransferField = keyof typeof TRANSFERS;

/** Undefined: there is no such reader or writer. The ARNs of Amazon's other partitions mean the same. */
export function transferResource(field: TransferField, written: string): string | undefined {
  const asked = written.replace(/^arn:aws-[a-z-]+:/, 'arn:aws:');
  return Object.entries(TRANSFERS[field]).find(([, resource]) => resource === asked)?.[0];
}

export function transferResources(field: TransferField): readonly string[] {
  return Object.values(TRANSFERS[field]);
}

export function isTransferResource(written: string): boolean {
  return (['ItemReader', 'ResultWriter'] as const).some(
    (field) => transferResource(field, written) !== undefined,
  );
}
