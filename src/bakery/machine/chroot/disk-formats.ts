/** Other forms of a root filesystem, made of it or of its archive; equal content gives equal bytes where the tool can. */
import { stat } from 'node:fs/promises';
import type { DiskFormat } from '../../../domain/component.ts';
import { ARCHIVE_EPOCH_S, type Rootfs } from './rootfs.ts';

const MIB = 1024 ** 2;
/** ext4 keeps space for itself and for files that come later. */
const ROOM = 1.4;
const LEAST_BYTES = 256 * MIB;
/** Any fixed one will do: a random one would make each image another. */
const FILESYSTEM_ID = '6b696c6e-0000-4000-8000-6d616368696e';

export interface FormatRequest {
  readonly rootfs: Rootfs;
  readonly archive: string;
  readonly diskBytes: number | undefined;
  readonly signal: AbortSignal;
}

export const DISK_FORMATS: Readonly<Record<DiskFormat, (request: FormatRequest) => Promise<string>>> = {
  squashfs: async ({ rootfs, archive, signal }) => {
    const destination = rootfs.beside('image.squashfs');
    const options = '-tar -noappend -no-progress -quiet -exports -xattrs -comp zstd -Xcompression-level 3';
    await rootfs.tool(
      ['sh', '-c', `exec mksquashfs - "$1" ${options} <"$2"`, 'sh', destination, archive],
      signal,
    );
    return destination;
  },
  qcow2: async ({ rootfs, archive, diskBytes, signal }) => {
    const raw = rootfs.beside('image.raw');
    const destination = rootfs.beside('image.qcow2');
    const sizeBytes = diskBytes ?? Math.max(LEAST_BYTES, (await stat(archive)).size * ROOM);
    const path = { E2FSPROGS_FAKE_TIME: `${ARCHIVE_EPOCH_S}` };
    const options = ['-q', '-F', '-t', 'ext4', '-U', FILESYSTEM_ID, '-E', `hash_seed=${FILESYSTEM_ID}`];
    await rootfs.tool(
      ['/sbin/mke2fs', ...options, '-L', 'root', '-d', rootfs.root, raw, `${Math.ceil(sizeBytes / MIB)}M`],
      signal,
      path,
    );
    await rootfs.tool(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', raw, destination], signal);
    return destination;
  },
};
