/** Paths in what a task is given, when the folder that they lead into is somewhere else by now. */
import { isObject, type Json } from '../asl/json.ts';

export function leadsInto(given: Json, folder: string): boolean {
  if (typeof given === 'string') return given === folder || given.startsWith(`${folder}/`);
  if (Array.isArray(given)) return given.some((one) => leadsInto(one, folder));
  return isObject(given) && Object.values(given).some((one) => leadsInto(one, folder));
}

/** Whole paths only: what is within a text, such as a command's, stays as it is written. */
export function movedPaths(given: Json, from: string, to: string): Json {
  if (typeof given === 'string') return leadsInto(given, from) ? to + given.slice(from.length) : given;
  if (Array.isArray(given)) return given.map((one) => movedPaths(one, from, to));
  if (!isObject(given)) return given;
  return Object.fromEntries(Object.entries(given).map(([key, one]) => [key, movedPaths(one, from, to)]));
}
