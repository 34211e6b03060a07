import type { Fault } from '../domain/errors.ts';

/**
 * Faults as people read them, the way compilers print them:
 *
 *     kiln.yaml:12:5  service: unknown key "instanses"
 *       12 |   instanses: 3
 *          |   ^ expected one of run, port, …; did you mean "instances"?
 *
 * Without the source the second line is left out.
 */
export function formatFaults(faults: readonly Fault[], source?: string): string {
  const lines = source?.split('\n');
  return faults.map((fault) => formatFault(fault, lines)).join('\n');
}

function formatFault(fault: Fault, lines: readonly string[] | undefined): string {
  const { location } = fault;
  const head = [
    location && `${location.file}:${location.line}:${location.column}  `,
    fault.path !== '' && `${fault.path}: `,
    fault.message,
  ]
    .filter(Boolean)
    .join('');
  const hint = hintOf(fault);
  const line = location && lines?.[location.line - 1]?.replace(/\r$/, '');
  if (location === undefined || line === undefined) return hint === '' ? head : `${head}\n    ${hint}`;
  const number = String(location.line);
  const margin = ' '.repeat(number.length);
  // Tabs stay tabs, so that the mark stands under its column on any terminal.
  const indent = line.slice(0, location.column - 1).replaceAll(/[^\t]/g, ' ');
  return `${head}\n  ${number} | ${line}\n  ${margin} | ${indent}^ ${hint}`.trimEnd();
}

function hintOf(fault: Fault): string {
  return [
    fault.found !== undefined && `found ${fault.found}`,
    fault.expected !== undefined && `expected ${fault.expected}`,
    fault.didYouMean !== undefined && `did you mean ${quoted(fault.didYouMean)}?`,
  ]
    .filter(Boolean)
    .join('; ');
}

function quoted(text: string): string {
  return text.startsWith('"') || text.includes(', ') ? text : `"${text}"`;
}
