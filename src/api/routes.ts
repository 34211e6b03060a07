/**
 * Every operation of the API by name: where it is, who may call it, how it answers. Plain data, so that the
 * typed client needs no schema library; `contract.ts` holds the schemas under the same names.
 */
import type { RouteInfo } from './route-info.ts';
import { IMAGE_ROUTES } from './routes/image-routes.ts';
import { PIPELINE_ROUTES } from './routes/pipeline-routes.ts';
import { SERVER_ROUTES } from './routes/server-routes.ts';
import { SERVICE_ROUTES } from './routes/service-routes.ts';

export const API_ROOT = '/api/v1';

export const ROUTES = {
  ...IMAGE_ROUTES,
  ...SERVICE_ROUTES,
  ...PIPELINE_ROUTES,
  ...SERVER_ROUTES,
} as const satisfies Record<string, RouteInfo>;

export type OperationName = keyof typeof ROUTES;

/** Names of the operations that answer in this way. */
export type OperationAnswering<Kind extends RouteInfo['answers']> = {
  [Name in OperationName]: (typeof ROUTES)[Name]['answers'] extends Kind ? Name : never;
}[OperationName];

export type BeginningOperation = {
  [Name in OperationName]: (typeof ROUTES)[Name] extends { readonly begins: true } ? Name : never;
}[OperationName];

/** Names of the operations whose body is bytes. */
export type BytesOperation = {
  [Name in OperationName]: (typeof ROUTES)[Name] extends { readonly takes: 'bytes' } ? Name : never;
}[OperationName];

export function routeOf(name: OperationName): RouteInfo {
  return ROUTES[name];
}

/** The path of a call, with each parameter encoded into its place. */
export function pathOf(name: OperationName, params: Readonly<Record<string, unknown>>): string {
  return (
    API_ROOT +
    ROUTES[name].path.replace(/\{(\w+)\}/g, (_, key: string) => encodeURIComponent(String(params[key] ?? '')))
  );
}
