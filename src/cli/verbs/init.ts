import path from 'node:path';
import { answer, type Context, hint, isSet } from '../context.ts';

export async function run(context: Context): Promise<number> {
  const directory = path.resolve(context.args[0] ?? '.');
  const { proposeComponent, writeComponentFile } = await import('../../component/init/propose.ts');
  const proposal = await proposeComponent(directory);
  const { terminal, flags, json } = context;
  if (isSet(flags, 'print'))
    return answer(context, { written: null, ...proposal }, () => proposal.yaml.trimEnd());
  const file = await writeComponentFile(directory, proposal.yaml);
  context.progress.end('done', `${proposal.what}: wrote ${file}`);
  if (!json) for (const note of proposal.notes) terminal.err(`  ${terminal.colors.yellow('!')} ${note}`);
  hint(context, `next: look at ${path.basename(file)}, then: kiln up ${context.args[0] ?? '.'}`);
  return answer(context, { written: file, ...proposal }, () => undefined);
}
