import { expect, test } from 'vitest';
import { CONTRACT } from '../api/contract.ts';
import { API_ROOT, ROUTES } from '../api/routes.ts';
import { openApiDocument } from './openapi.ts';

interface Operation {
  operationId: string;
  parameters?: { name: string; in: string; required?: boolean }[];
  requestBody?: { content: object };
  responses: Record<string, { content: object }>;
}
const document = JSON.parse(JSON.stringify(openApiDocument('1.2.3'))) as {
  openapi: string;
  info: { version: string };
  security: object[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, object>; securitySchemes: object };
};

test('is OpenAPI 3.1, with the version, and asks for a token everywhere', () => {
  expect(document.openapi).toBe('3.1.0');
  expect(document.info.version).toBe('1.2.3');
  expect(document.security).toEqual([{ token: [] }]);
  expect(document.components.securitySchemes).toMatchObject({ token: { type: 'http', scheme: 'bearer' } });
});

test('holds every route, and every route has its schemas', () => {
  expect(Object.keys(CONTRACT).sort()).toEqual(Object.keys(ROUTES).sort());
  for (const [name, route] of Object.entries(ROUTES)) {
    const operation = document.paths[API_ROOT + route.path]?.[route.method];
    expect(operation?.operationId, name).toBe(name);
    const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
    const declared = (operation?.parameters ?? []).filter((one) => one.in === 'path');
    expect(declared.map((one) => one.name).sort(), name).toEqual(inPath.sort());
    expect(
      declared.every((one) => one.required),
      name,
    ).toBe(true);
    expect(Object.keys(operation?.responses ?? {}), name).toEqual(expect.arrayContaining(['200', 'default']));
    const keyed = operation?.parameters?.some((one) => one.name === 'Idempotency-Key') ?? false;
    expect(keyed, name).toBe(route.method !== 'get' && !('takes' in route));
  }
});

test('no two operations have one path and method, and every reference leads somewhere', () => {
  const places = Object.values(ROUTES).map((route) => `${route.method} ${route.path}`);
  expect(new Set(places).size).toBe(places.length);
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)];
  expect(references.length).toBeGreaterThan(10);
  for (const [, name] of references) expect(Object.keys(document.components.schemas)).toContain(name);
});

test('no schema is left without a type by accident', () => {
  const empty = Object.entries(document.components.schemas).filter(
    ([, schema]) => Object.keys(schema).length === 0,
  );
  expect(empty).toEqual([]);
});
