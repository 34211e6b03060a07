/** Names as arguments of tasks: what is refused when a task runs is refused when its file is read, too. */
import { z } from 'zod';
import { isComponentName, isEnvironmentName, isName } from '../domain/ids.ts';

export const component = z.string('a component').refine(isComponentName, {
  error: 'a component: lower-case letters, digits and single dashes',
});

export const environment = z.string('an environment, such as stage/uk').refine(isEnvironmentName, {
  error: 'an environment: level/region, such as stage/uk',
});

export const channel = z.string('a channel, such as proven').refine(isName, {
  error: 'a channel, such as proven; environments are none',
});

/** An image's id, or whatever else names one. */
export const image = z.string('an image').min(1, 'an image');

export const folder = z.string('a folder').startsWith('/', 'the whole path of a folder, beginning with /');

export const version = z.string('a version').min(1, 'a version');
