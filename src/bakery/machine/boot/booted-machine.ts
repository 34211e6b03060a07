import type { RunOnceResult } from '../../../domain/ports/target.ts';
import type { RenderedFile } from '../../../domain/release.ts';
import type { Endpoint } from '../../../domain/server-group.ts';

export interface Command {
  /** A line for `/bin/sh -c`. */
  readonly line: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly onLine?: (line: string) => void;
}

/** A root filesystem that has been booted: nothing of it is anywhere but in its own folder or container. */
export interface BootedMachine {
  /** Runs a command inside to its end. Fails with `timeout` or `aborted`. */
  run(command: Command, signal: AbortSignal): Promise<RunOnceResult>;
  /** Where its process is to listen, as the process sees it. */
  readonly listen: Endpoint;
  /** The same, as seen from here; undefined while nothing listens there. */
  endpoint(signal: AbortSignal): Promise<Endpoint | undefined>;
}

export interface BootWish {
  /** Unlike that of any other machine of the room. */
  readonly name: string;
  readonly listens: boolean;
  /** Of the process, where the machine has a network of its own; undefined: any will do. */
  readonly port: number | undefined;
  readonly files: readonly RenderedFile[];
}

/** Where the machines of one check are booted. */
export interface MachineRoom {
  /** Before the first one. @param archive of all files of the machine, absolute */
  open(archive: string, signal: AbortSignal): Promise<void>;
  /** Each is fresh. Fails with `image.unfit` when nothing can be run in it. */
  boot(wish: BootWish, signal: AbortSignal): Promise<BootedMachine>;
  /** Ends and removes its machines and what `open` has made; never listens to a caller's signal. */
  close(): Promise<void>;
}
