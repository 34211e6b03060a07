/** What a task was given, checked by its own shape; what does not fit fails the task with `input.invalid`. */
import type { z } from 'zod';
import { KilnError } from '../domain/errors.ts';
import type { TaskCall } from './task.ts';

export function argumentsOf<Shape extends z.ZodType>(
  shape: Shape,
  { arguments: given, request }: TaskCall,
): z.output<Shape> {
  const read = shape.safeParse(given ?? {});
  if (read.success) return read.data;
  const faults = read.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }));
  const said = faults.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ');
  throw new KilnError(
    'input.invalid',
    `${request.state} gives the task ${request.resource} what it cannot take: ${said}.`,
    {
      next: 'Correct its Parameters or Arguments in the pipeline.',
      faults,
    },
  );
}
