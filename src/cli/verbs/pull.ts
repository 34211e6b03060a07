import { answer, type Context, hint } from '../context.ts';
import { failed } from '../ended-work.ts';
import { followTransfer, transferFailure } from '../transfer-work.ts';

export async function run(context: Context): Promise<number> {
  const [from = ''] = context.args;
  const transfer = await followTransfer(context, `pulling ${from}`, (client, options) =>
    client.call('transfers.pull', { body: { from } }, options),
  );
  const failure = transferFailure(transfer);
  if (failure !== undefined) return failed(context, failure);
  const name = `${transfer.image?.component}@${transfer.image?.version}`;
  hint(context, `next: kiln check ${name}`);
  return answer(context, transfer, () => name);
}
