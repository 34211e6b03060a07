import { answer, type Context, hint } from '../context.ts';
import { failed } from '../ended-work.ts';
import { followTransfer, transferFailure } from '../transfer-work.ts';

export async function run(context: Context): Promise<number> {
  const [reference = '', to = ''] = context.args;
  const transfer = await followTransfer(context, `pushing ${reference}`, (client, options) =>
    client.call('transfers.push', { params: { reference }, body: { to } }, options),
  );
  const failure = transferFailure(transfer);
  if (failure !== undefined) return failed(context, failure);
  hint(context, `elsewhere: kiln pull ${transfer.reference}`);
  return answer(context, transfer, () => transfer.reference);
}
