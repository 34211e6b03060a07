/** Liquid templates of configuration files. What is not there is an error, and nothing but the values is read. */
import { Liquid, LiquidError, type Template } from 'liquidjs';
import { type FaultLocation, KilnError } from '../domain/errors.ts';

export interface TemplateRequest {
  /** Its path, for errors. */
  readonly template: string;
  readonly text: string;
  readonly values: Readonly<Record<string, string>>;
  /** Found as `kiln.component` and so on. */
  readonly names: Readonly<Record<string, string>>;
  /** The tree in words, for errors. */
  readonly tree: string;
}

const PARSE_LIMIT_CHARACTERS = 1_000_000;
const RENDER_LIMIT_MS = 2_000;
const MEMORY_LIMIT = 10_000_000;

export function renderTemplate(request: TemplateRequest): string {
  const engine = createEngine();
  const { template, text, values, names } = request;
  for (const key of LIQUID_WORDS) {
    const use = Object.hasOwn(values, key) ? undefined : findKey(template, text, key);
    if (use !== undefined) throw missingKey(key, request, use);
  }
  try {
    const rendered: unknown = engine.renderSync(engine.parse(text, template), { ...values, kiln: names });
    return String(rendered);
  } catch (error) {
    throw templateError(error, request);
  }
}

/** Liquid answers these for anything, so a missing key of such a name would never be noticed by it. */
const LIQUID_WORDS = ['size', 'first', 'last'];

/** Where a template uses a key first; undefined: nowhere, or the template is not readable. */
export function findKey(template: string, text: string, key: string): FaultLocation | undefined {
  const engine = createEngine();
  try {
    const parsed: Template[] = engine.parse(text, template);
    const { globals } = engine.analyzeSync(parsed, { partials: false });
    const [use] = Object.hasOwn(globals, key) ? (globals[key] ?? []) : [];
    return use && { file: template, line: use.location.row, column: use.location.col };
  } catch (error) {
    // The search only adds a line to an error that is on its way; rendering tells what is wrong with the template.
    if (error instanceof LiquidError) return undefined;
    throw error;
  }
}

/**
 * Strict, without access to files, the same at any time and place. `{% if key %}` and `| default` are how a template
 * asks for a key that need not be there.
 */
function createEngine(): Liquid {
  const engine = new Liquid({
    strictVariables: true,
    strictFilters: true,
    lenientIf: true,
    ownPropertyOnly: true,
    templates: {},
    timezoneOffset: 0,
    parseLimit: PARSE_LIMIT_CHARACTERS,
    renderLimit: RENDER_LIMIT_MS,
    memoryLimit: MEMORY_LIMIT,
  });
  for (const filter of [
    'date',
    'date_to_xmlschema',
    'date_to_rfc822',
    'date_to_string',
    'date_to_long_string',
    'sample',
  ]) {
    engine.registerFilter(filter, () => {
      throw new Error(
        `the filter "${filter}" is not for configuration: it would differ from release to release`,
      );
    });
  }
  return engine;
}

function templateError(error: unknown, request: TemplateRequest): KilnError {
  const { template } = request;
  const position = positionOf(error);
  const location = position && { file: template, ...position };
  const key = missingVariable(error);
  if (key !== undefined) return missingKey(key, request, location);
  const reason = reasonOf(error);
  return new KilnError('config.template', `${placeText(template, location)}: ${reason}.`, {
    next: 'Correct the template and bake again.',
    faults: [{ path: '', message: reason, ...(location && { location }) }],
    details: { template },
  });
}

function missingKey(
  key: string,
  { template, tree }: TemplateRequest,
  location: FaultLocation | undefined,
): KilnError {
  const message = `The config of ${tree} has no "${key}". ${placeText(template, location)} uses it.`;
  return new KilnError('config.missing-key', message, {
    next: `Give "${key}" a value under config.values, or write {{ ${key} | default: … }} in the template.`,
    faults: [
      { path: key, message: `"${key}" has no value`, expected: 'a value', ...(location && { location }) },
    ],
    details: { key, template },
  });
}

function placeText(template: string, location: FaultLocation | undefined): string {
  return location === undefined ? template : `${template}:${location.line}:${location.column}`;
}

function missingVariable(error: unknown): string | undefined {
  if (!(error instanceof LiquidError) || error.name !== 'UndefinedVariableError') return undefined;
  return /undefined variable: ([^,\s]+)/.exec(error.message)?.[1];
}

function positionOf(error: unknown): { line: number; column: number } | undefined {
  if (!(error instanceof LiquidError)) return undefined;
  const [line, column] = error.token.getPosition();
  return line === undefined || column === undefined ? undefined : { line, column };
}

/** The engine's own words without the place, which is said before. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'it cannot be rendered';
  if (error.message.startsWith('ENOENT')) return 'a configuration template cannot take in other files';
  return error.message.replace(/(?:, file:[^,]*)?, line:\d+, col:\d+$/, '');
}
