/** A pipeline that nothing is known of is more likely mistyped than new. */
import { KilnError } from '../domain/errors.ts';
import type { Context } from './context.ts';

/** Fails with `not-found` and the name that is near; a pipeline that has run passes. */
export async function assertHasRun(context: Context, pipeline: string): Promise<void> {
  const { items } = await context.client().call('pipelines.list', {}, { signal: context.signal });
  const names = items.map((one) => one.pipeline);
  if (names.includes(pipeline)) return;
  const { suggest } = await import('../component/suggest.ts');
  const near = suggest(pipeline, names);
  throw new KilnError('not-found', `No pipeline of the name ${pipeline} has run.`, {
    next:
      near === undefined
        ? `See those that have: kiln pipeline health; start it: kiln pipeline run DIR`
        : `Did you mean ${near}?`,
  });
}
