/** What `plan` and `deploy` are asked for: the same arguments, so that the one shows what the other does. */
import { type Context, choiceFlag, numberFlag, textFlag } from './context.ts';
import { componentOrImage, type Place, placeOf } from './names.ts';

export const CONFLICTS = ['refuse', 'queue', 'replace'] as const;
const STRATEGIES = ['rolling', 'blue-green', 'canary'] as const;

export interface DeployWish extends Place {
  readonly image?: string;
  readonly release?: number;
  readonly strategy?: (typeof STRATEGIES)[number];
}

export function deployWish(context: Context): DeployWish {
  const { args, flags } = context;
  const [what = '', environment = ''] = args;
  const { component, image: named } = componentOrImage(what);
  const image = textFlag(flags, 'image') ?? named;
  const release = numberFlag(flags, 'release', '--release');
  const strategy = choiceFlag(flags, 'strategy', '--strategy', STRATEGIES);
  return {
    ...placeOf([component, environment]),
    ...(image === undefined ? {} : { image }),
    ...(release === undefined ? {} : { release }),
    ...(strategy === undefined ? {} : { strategy }),
  };
}
