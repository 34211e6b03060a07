/** A push or pull that the server carries out: followed to its end, and how it ended. */
import type { Client } from '../api/client.ts';
import type { Answer } from '../api/contract.ts';
import { errorOfProblem } from '../api/failures.ts';
import { KilnError } from '../domain/errors.ts';
import { sizeText } from '../domain/size-text.ts';
import type { Context } from './context.ts';

export type Transfer = Answer<'transfers.get'>;

/** Often enough for whoever watches. */
const LOOK_SECONDS = 0.5;
const WAIT_SECONDS = 30;

/** Says how far it is; the first Ctrl-C cancels it. */
export async function followTransfer(
  context: Context,
  what: string,
  begin: (
    client: Client,
    options: { readonly signal: AbortSignal; readonly waitSeconds: number },
  ) => Promise<Transfer>,
): Promise<Transfer> {
  const { progress, signal, terminal } = context;
  const client = context.client();
  progress.begin(what);
  let transfer = await begin(client, { signal, waitSeconds: 0 });
  const params = { id: transfer.id };
  context.onInterrupt(async () => {
    await client.call('transfers.cancel', { params });
    return 'cancelled; what was moved already is not moved again';
  });
  while (transfer.state === 'running') {
    const query = { wait: terminal.live && !context.json ? LOOK_SECONDS : WAIT_SECONDS };
    transfer = await client.call('transfers.get', { params, query }, { signal });
    if (transfer.state === 'running') progress.update(`${what}: ${farText(transfer)}`);
  }
  sayEnd(context, transfer);
  return transfer;
}

/** Undefined: everything is where it should be. */
export function transferFailure(transfer: Transfer): KilnError | undefined {
  const { failure, state, direction } = transfer;
  if (state === 'cancelled') return new KilnError('aborted', `The ${direction} was cancelled.`);
  if (failure === undefined) return undefined;
  const { message, ...rest } = failure;
  return errorOfProblem(200, { ...rest, detail: message, retryable: false });
}

function sayEnd({ progress }: Context, transfer: Transfer): void {
  const { state, image, reference } = transfer;
  const name = `${image?.component}@${image?.version}`;
  if (image === undefined) progress.end('failed', `${transfer.direction} ${state}`);
  else if (state === 'unchanged') progress.end('same', `unchanged: ${name}`);
  else progress.end('done', `${state} ${name}: ${farText(transfer)}, ${reference}`);
}

function farText({ progress }: Transfer): string {
  const { doneBlobs, blobs, movedBlobs, mountedBlobs, movedBytes } = progress;
  const mounted = mountedBlobs === 0 ? '' : `, ${mountedBlobs} mounted`;
  return `${doneBlobs} of ${blobs} blobs, ${movedBlobs} moved (${sizeText(movedBytes)})${mounted}`;
}
