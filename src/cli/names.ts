/** Names among a verb's arguments, checked before anything is asked of a server. */
import { KilnError } from '../domain/errors.ts';
import { type ComponentName, componentName, type EnvironmentName, environmentName } from '../domain/ids.ts';

export interface Place {
  readonly component: ComponentName;
  readonly environment: EnvironmentName;
}

/** `storefront live/uk`; the component may be said as an image, `storefront@1.2.0`, where one is wanted. */
export function placeOf(args: readonly string[]): Place {
  const [component, environment] = args;
  if (component === undefined || environment === undefined) {
    throw new KilnError('input.invalid', 'A component and an environment are needed.', {
      next: 'Give both, such as: storefront live/uk',
    });
  }
  return { component: componentName(component), environment: environmentName(environment) };
}

export function environmentPath({ component, environment }: Place): {
  readonly component: ComponentName;
  readonly level: string;
  readonly region: string;
} {
  const slash = environment.indexOf('/');
  return { component, level: environment.slice(0, slash), region: environment.slice(slash + 1) };
}

/** `storefront@1.2.0` or `storefront:proven` in the place of a component: which image of which component. */
export function componentOrImage(text: string): { readonly component: string; readonly image?: string } {
  const end = text.search(/[@:]/);
  return end > 0 ? { component: text.slice(0, end), image: text } : { component: text };
}

/** True: it looks like the address of a repository; anything else is a folder of this machine. */
export function isAddress(text: string): boolean {
  return /^[a-z]+:\/\/|^[\w.-]+@[\w.-]+:/.test(text);
}

const SHORT_COMMIT = 10;

/** As people read it. */
export function shortCommit(sha: string): string {
  return sha.slice(0, SHORT_COMMIT);
}
