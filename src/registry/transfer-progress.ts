/** How far a push or pull is. */
export interface TransferProgress {
  /** All blobs that the image stands on. */
  readonly blobs: number;
  readonly bytes: number;
  /** Blobs that are where they should be: were there already, mounted, or moved. */
  readonly doneBlobs: number;
  readonly mountedBlobs: number;
  /** Blobs that went over the wire, whole. */
  readonly movedBlobs: number;
  /** What went over the wire, what had to be sent again included. */
  readonly movedBytes: number;
}

export const NOTHING_YET: TransferProgress = {
  blobs: 0,
  bytes: 0,
  doneBlobs: 0,
  mountedBlobs: 0,
  movedBlobs: 0,
  movedBytes: 0,
};

export type OnProgress = (change: (before: TransferProgress) => TransferProgress) => void;
