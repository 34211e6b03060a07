import type { Answer } from '../../api/contract.ts';
import { answer, type Context, hint } from '../context.ts';
import { deployWish } from '../deploy-wish.ts';

export async function run(context: Context): Promise<number> {
  const wish = deployWish(context);
  const plan = await context.client().call('plan.show', { query: wish }, { signal: context.signal });
  answer(context, plan, () => planText(context, plan));
  if (!plan.unchanged) hint(context, `next: kiln deploy ${context.args.join(' ')} with the same options`);
  return 0;
}

function planText({ terminal: { colors } }: Context, plan: Answer<'plan.show'>): string {
  const where = `${plan.component} in ${plan.environment}`;
  if (plan.unchanged) return `${where}: release ${plan.to} serves already; nothing is to be done`;
  const from = plan.from === undefined ? 'nothing serves yet' : `release ${plan.from} serves`;
  const lines = plan.steps.map((step, index) => `  ${String(index + 1).padStart(2)}. ${step.text}`);
  const afterwards = plan.afterwards.map((step) => `   ·  ${step.text}`);
  return [
    `${colors.bold(where)}: ${from}; release ${plan.to} would replace it (${plan.strategy})`,
    ...lines,
    ...(afterwards.length === 0 ? [] : ['  afterwards:', ...afterwards]),
    ...plan.warnings.map((warning) => `  ${colors.yellow('!')} ${warning}`),
  ].join('\n');
}
