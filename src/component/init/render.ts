/** The proposed file as text, with comments that teach its next steps. */
import { stringify } from 'yaml';
import { WEB } from '../merge.ts';
import type { Draft, DraftStep } from './draft.ts';

/** `schema`: where editors find the JSON Schema, relative to the file or a URL. */
export function renderComponent(component: string, draft: Draft, schema?: string): string {
  const parts = [
    ...(schema === undefined ? [] : [`# yaml-language-server: $schema=${schema}`]),
    `# Written by "kiln init", which found ${oneLine(draft.what)}. Every field: docs/kiln-yaml.md.`,
    `component: ${text(component)}`,
    '# version: "1.0.0"        # left out, it follows git describe, or the contents',
    '',
    ...imageLines(draft),
    '',
    ...processLines(draft),
    ...migrateLines(draft),
    '',
    ...checkLines(),
    ...configLines(draft),
    '',
    ...deployLines(),
  ];
  return `${parts.join('\n')}\n`;
}

function imageLines(draft: Draft): readonly string[] {
  const lines = ['image:', `  kind: ${draft.kind}`];
  if (draft.kind === 'container') lines.push('  container: {dockerfile: Dockerfile}');
  if (draft.build.length > 0) lines.push('  build:', ...draft.build.flatMap(stepLines));
  if (draft.run !== undefined) lines.push(`  run: ${text(draft.run)}`);
  return [...lines, '  # exclude: [docs]        # beside .git, logs, caches and temporary files'];
}

function stepLines({ run, why }: DraftStep): readonly string[] {
  return [...(why === undefined ? [] : [`    # ${oneLine(why)}`]), `    - ${text(run)}`];
}

function processLines(draft: Draft): readonly string[] {
  const lines: string[] = [];
  const serves = draft.run !== undefined || draft.kind === 'container';
  if (serves) {
    lines.push(
      'service:',
      `  port: ${draft.port ?? 8080}               # it must listen on the PORT that it is given`,
      `  health: ${text(draft.health ?? '/')}`,
      '  # standard: true        # when it answers /service/status and its kin: docs/service-standard.md',
      '  instances: 1',
      ...volumeLines(draft.writable ?? []),
    );
  }
  const others = Object.entries(draft.processes).filter(([name]) => !serves || name !== WEB);
  if (others.length > 0) lines.push('processes:');
  return [...lines, ...others.map(([name, run]) => `  ${name}: {run: ${flowText(run)}}`)];
}

function volumeLines(folders: readonly string[]): readonly string[] {
  if (folders.length === 0) return [];
  const volumes = folders.map((folder) => `    - {name: ${folder}, path: ${folder}, shared: true}`);
  return ['  volumes:                 # an image is read-only; this is what it must write to', ...volumes];
}

function migrateLines({ migrate }: Draft): readonly string[] {
  return migrate === undefined
    ? []
    : ['', `migrate: ${text(migrate)}   # once per release and environment, before any traffic`];
}

function checkLines(): readonly string[] {
  return ["# checks: [checks/smoke.yaml]   # smoke tests in Smolder's format, at bake and after deploy"];
}

function configLines({ values = {}, likelyKeys = [] }: Draft): readonly string[] {
  const entries = Object.entries(values);
  const required =
    likelyKeys.length === 0 ? [] : [`  # required: ${flow(likelyKeys)}   # nothing is released without them`];
  if (entries.length === 0 && required.length === 0) {
    return ['# config: {values: {log_level: info}}   # instances get LOG_LEVEL'];
  }
  return [
    'config:',
    ...required,
    '  values:',
    ...entries.map(([key, value]) => `    ${key}: ${text(value)}`),
  ];
}

function deployLines(): readonly string[] {
  return [
    'deploy: {strategy: blue-green}',
    '# Requests for {component}.{environment}.localhost come here unless routes say otherwise:',
    '# routes: [{host: "{component}.{level}.example.com"}]',
    '# environments:',
    '#   live/local: {instances: 3}   # takes only images that have been promoted to the channel "proven"',
  ];
}

function text(value: string): string {
  return stringify(value, { lineWidth: 0, defaultStringType: 'PLAIN' }).trimEnd();
}

/** Within braces a comma, a bracket or a brace would end the text, so it is quoted. */
function flowText(value: string): string {
  return JSON.stringify(value);
}

function flow(values: readonly string[]): string {
  return `[${values.map((value) => (/^[\w./-]+$/.test(value) ? value : JSON.stringify(value))).join(', ')}]`;
}

function oneLine(value: string): string {
  return value.replaceAll(/\s+/g, ' ');
}
