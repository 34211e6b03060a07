import { KilnError } from '../../domain/errors.ts';
import type { AwsPlace } from '../../pipeline/export/aws-definition.ts';
import { type Context, textFlag } from '../context.ts';

/** The region and the account that Activities are in, by flags or as AWS's own tools are told. */
export function awsPlace({ flags, env }: Pick<Context, 'flags' | 'env'>): AwsPlace {
  const region = textFlag(flags, 'region') ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION;
  const account = textFlag(flags, 'account');
  if (region === undefined || account === undefined || !/^\d{12}$/.test(account)) {
    throw new KilnError('input.invalid', 'Activities are of a region and an account of AWS.', {
      next: 'Give --region REGION and --account with twelve digits.',
    });
  }
  return { region, account, prefix: textFlag(flags, 'prefix') ?? 'kiln-' };
}
