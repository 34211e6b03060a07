import type { CommandWish } from '../../src/pipeline/commands/command-wish.ts';

/** A command that asks for nothing. */
export const PLAIN_COMMAND: CommandWish = {
  commands: ['true'],
  checkout: { submodules: true, lfs: true },
  environment: {},
  files: {},
  secrets: {},
  secretFiles: {},
  caches: [],
  services: {},
  limits: {},
  docker: false,
  inputs: {},
  artifacts: {},
  timeoutSeconds: 60,
};
