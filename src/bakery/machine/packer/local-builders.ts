/** Builder blocks for images that are made on this machine. Pure. */
import path from 'node:path';
import { type JsonObject, literal } from './json.ts';
import type { BlockRequest } from './template-request.ts';

/** The container's filesystem comes out as an archive: a root filesystem like any other. */
export function docker({ arch, fromCatalogue, outputs, source, spec }: BlockRequest): JsonObject {
  const kept =
    spec.options.commit === true ? {} : { export_path: literal(path.join(outputs, `${arch}.tar`)) };
  // What the catalogue knows by its digest is here or nowhere.
  return { image: literal(source), ...(fromCatalogue ? { pull: false } : {}), ...kept };
}

export function file({ arch, outputs, source }: BlockRequest): JsonObject {
  return { source: literal(source), target: literal(path.join(outputs, arch, path.basename(source))) };
}

export function nothing({ spec }: BlockRequest): JsonObject {
  return spec.provisioners.length === 0 ? { communicator: 'none' } : {};
}
