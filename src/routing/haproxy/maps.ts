/** HAProxy's maps of the running worker: what leads where, what is checked, who may wait. */
import { KilnError } from '../../domain/errors.ts';
import { mapChanges } from './changes.ts';
import { mapEntries } from './held.ts';
import { FILES } from './instance.ts';
import type { WantedMaps } from './wanted.ts';

/** As the worker holds them; known from the last change, or asked for. */
export type MapsHeld = WantedMaps;

export type RunCommands = (commands: readonly string[]) => Promise<string[]>;

/** `between` puts the servers in place: after the paths they are checked by, before the routes to them. */
export async function applyMaps(
  run: RunCommands,
  known: MapsHeld | undefined,
  wanted: WantedMaps,
  between: () => Promise<void>,
): Promise<MapsHeld> {
  const held = known ?? (await heldMaps(run));
  const health = new Map([...held.health, ...wanted.health]);
  const hold = new Map([...held.hold, ...wanted.hold]);
  const ownHealth = new Map([...held.ownHealth, ...wanted.ownHealth]);
  await runMapCommands(run, [
    // At every moment each server has its right path: own ones come before the backend's changes, and go after.
    ...mapChanges(FILES.ownHealthMap, held.ownHealth, ownHealth),
    ...mapChanges(FILES.healthMap, held.health, health),
    ...mapChanges(FILES.ownHealthMap, ownHealth, wanted.ownHealth),
    ...mapChanges(FILES.holdMap, held.hold, hold),
  ]);
  await between();
  await runMapCommands(run, mapChanges(FILES.routesMap, held.routes, wanted.routes));
  return { routes: wanted.routes, health, ownHealth: wanted.ownHealth, hold };
}

async function heldMaps(run: RunCommands): Promise<MapsHeld> {
  const [routes = '', health = '', ownHealth = '', hold = ''] = await run([
    `show map ${FILES.routesMap}`,
    `show map ${FILES.healthMap}`,
    `show map ${FILES.ownHealthMap}`,
    `show map ${FILES.holdMap}`,
  ]);
  return {
    routes: mapEntries(routes),
    health: mapEntries(health),
    ownHealth: mapEntries(ownHealth),
    hold: mapEntries(hold),
  };
}

async function runMapCommands(run: RunCommands, commands: readonly string[]): Promise<void> {
  const answers = await run(commands);
  const refused = answers.findIndex((answer) => answer !== '');
  if (refused === -1) return;
  throw new KilnError('router.rejected', `HAProxy refused "${commands[refused]}": ${answers[refused]}`, {
    retryable: true,
  });
}
