import type { Task } from '../src/pipeline/task.ts';

export const answered: Task = {
  name: 'answered',
  does: 'answers at once',
  repeat: 'same-key',
  takesPlace: false,
  run: async () => 1,
};
