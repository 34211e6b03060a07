/** Writes all that HAProxy starts from, or is reloaded with: configuration, maps, states. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { replaceFile } from '../../files/durable-file.ts';
import { type ConfiguredServer, configurationText, luaScript } from './configuration.ts';
import { FILES, type HaproxyInstance } from './instance.ts';
import type { Slot } from './slots.ts';
import type { WantedMaps } from './wanted.ts';

/** Right after a start no server was checked yet, which is no reason to refuse a request. */
const STARTUP_HOLD_MS = 2_000;

export interface Everything {
  readonly listen: { readonly host: string; readonly port: number };
  readonly slots: readonly Slot[];
  readonly maps: WantedMaps;
}

export type PlacedServer = ConfiguredServer & { readonly backend: string };

export function writeEverything(everything: Everything) {
  const identity = identityOf(everything);
  return {
    identity,
    /** Nothing is replaced before HAProxy has found the new configuration right. */
    async to(
      instance: HaproxyInstance,
      servers: readonly PlacedServer[],
      serverState: string,
      signal: AbortSignal,
    ): Promise<{ identity: string }> {
      await replaceFile(instance.file('luaScript'), luaScript(STARTUP_HOLD_MS));
      await replaceFile(instance.file('routesMap'), mapText(everything.maps.routes));
      await replaceFile(instance.file('healthMap'), mapText(everything.maps.health));
      await replaceFile(instance.file('ownHealthMap'), mapText(everything.maps.ownHealth));
      await replaceFile(instance.file('holdMap'), mapText(everything.maps.hold));
      await replaceFile(instance.file('serverState'), `${serverState}\n`);
      const configuration = instance.file('configuration');
      const text = textOf(everything, identity, servers);
      const draft = `${configuration}.new`;
      await replaceFile(draft, text);
      await instance.validate(path.basename(draft), signal);
      await replaceFile(configuration, text);
      return { identity };
    },
  };
}

/** Equal for an equal configuration, whatever servers it held when it was written. */
function identityOf(everything: Everything): string {
  const text = `${textOf(everything, '', [])}${luaScript(STARTUP_HOLD_MS)}`;
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

function textOf(everything: Everything, identity: string, servers: readonly PlacedServer[]): string {
  return configurationText({
    listen: everything.listen,
    forwardedPort: everything.listen.port,
    slots: everything.slots,
    identity,
    files: FILES,
    servers: Map.groupBy(servers, (server) => server.backend),
  });
}

function mapText(entries: ReadonlyMap<string, string>): string {
  return [...entries].map(([key, value]) => `${key} ${value}\n`).join('');
}
