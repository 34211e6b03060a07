/** The task resources that a pipeline may name. */

export interface TaskResource {
  readonly name: string;
  readonly does: string;
  /** Why it cannot be used yet; undefined when it can. */
  readonly notYet?: string;
}

/** Endings that Amazon States Language gives to a resource: they say how the task ends, not what it does. */
const ENDING = /\.(sync(:\d+)?|waitForTaskToken)$/;

/** Names by which Microtica files call the same task. */
const ALIASES: Readonly<Record<string, string>> = {
  'microtica.actions.cmd': 'cmd',
  'microtica.actions.docker.build': 'docker.build',
  'microtica.actions.docker.push': 'docker.push',
};

export function resourceName(written: string): string {
  const bare = written.replace(ENDING, '');
  return ALIASES[bare] ?? bare;
}
