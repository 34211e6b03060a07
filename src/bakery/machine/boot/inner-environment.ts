/** What a command inside a booted machine finds in its environment beside its own. Pure. */
import { INNER_PATH } from '../chroot/steps.ts';
import type { BootedMachine, Command } from './booted-machine.ts';

export function innerEnvironment({ environment }: Command): Record<string, string> {
  return { HOME: '/root', LANG: 'C.UTF-8', ...environment, PATH: INNER_PATH };
}

/** Where its process is to listen, as every instance is told. */
export function listenEnvironment({ listen }: BootedMachine): Record<string, string> {
  return { PORT: String(listen.port), HOST: listen.host };
}
