/**
 * Options that only some actions of a verb take say so in front of what they mean: `of run and watch: a file…`. What is
 * said there is what holds: the other actions refuse them, where they would have ignored them.
 */
import { KilnError } from '../domain/errors.ts';
import type { Flags } from './context.ts';
import type { VerbEntry } from './verb-table/verb-entry.ts';

type Described = Pick<VerbEntry, 'actions'>;

export function actionNames({ actions = [] }: Described): readonly string[] {
  return actions.flatMap(([call]) => call.split(' ')[0]?.split('|') ?? []);
}

/** Undefined: it is every action's. */
export function takenBy(verb: Described, description: string): readonly string[] | undefined {
  const names = actionNames(verb);
  const said = description.split('; ').flatMap((part) => /^of ([^:(]+)[:(]/.exec(part)?.[1] ?? []);
  const found = names.filter((name) => said.some((text) => text.split(/[ ,]+/).includes(name)));
  return found.length === 0 ? undefined : found;
}

/** Fails with `input.invalid` for an option that the action has no use for. */
export function refuseOptionsOfOthers(verb: VerbEntry, action: string | undefined, flags: Flags): void {
  if (action === undefined || !actionNames(verb).includes(action)) return;
  for (const [written, description] of verb.options) {
    const name = /--([a-z]+)/.exec(written)?.[1] ?? '';
    const actions = takenBy(verb, description);
    if (actions === undefined || actions.includes(action) || flags[name] === undefined) continue;
    throw new KilnError('input.invalid', `kiln ${verb.name} ${action} takes no --${name}.`, {
      next: `Leave it out: it is an option of ${actions.join(', ')}.`,
    });
  }
}
