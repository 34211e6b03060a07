/** Text in Smolder's format (YAML or JSON) → tests. Pure; all faults of a file are reported at once. */
import type { Fault } from '../../domain/errors.ts';
import { OUTCOME_NAMES, readOutcome } from './outcomes/registry.ts';
import { readStatusOutcome } from './outcomes/status.ts';
import { readInputs } from './parse-inputs.ts';
import { Field, invalidFile, Source } from './source.ts';
import type { LdapInputs, Outcome, Pair, Protocol, SmokeTest } from './test-file.ts';
import { PROTOCOLS } from './test-file.ts';

const TEST_KEYS = [
  'name',
  'uri',
  'port',
  'protocol',
  'method',
  'tcp_test',
  'show_body',
  'inputs',
  'outcomes',
  'response_headers_present',
] as const;
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'OPTION', 'PURGE'] as const;
/** Keys of Smolder's format 0.1, which has no inputs and outcomes. */
const OLD_KEYS = ['request_headers', 'url', 'validate_cert', 'data'];
const MAX_NAME_LENGTH = 1_000;

/** `file` is only for messages. Fails with `check.invalid`, whose detail `reason` says in which way. */
export function parseCheckFile(text: string, file: string): readonly SmokeTest[] {
  const source = new Source(text, file);
  const faults: Fault[] = [];
  const root = new Field(source, faults, [], source.root);
  const list = root.isMapping ? root.entries()?.find((entry) => entry.key === 'tests') : undefined;
  if (list === undefined) {
    throw invalidFile('no-tests', `${file} has no "tests".`, [
      { path: 'tests', message: 'The key "tests" is missing.', location: source.locate([]) },
    ]);
  }
  for (const entry of root.entries() ?? []) if (entry.key !== 'tests') entry.unknownKey('key', ['tests']);
  const items = list.value === null ? [] : list.items();
  if (items?.length === 0 && faults.length === 0) {
    throw invalidFile('empty', `${file} has an empty list of tests.`, [
      { path: 'tests', message: 'At least one test is needed.', location: list.location },
    ]);
  }
  const tests = (items ?? []).flatMap((item) => readTest(item) ?? []);
  if (faults.length > 0) {
    const count = faults.length === 1 ? 'a fault' : `${faults.length} faults`;
    throw invalidFile('schema', `${file} has ${count}.`, faults.toSorted(byPlace));
  }
  return tests;
}

function byPlace({ location: a }: Fault, { location: b }: Fault): number {
  return (a?.line ?? 0) - (b?.line ?? 0) || (a?.column ?? 0) - (b?.column ?? 0);
}

function readTest(item: Field): SmokeTest | undefined {
  const fields = item.entries();
  if (fields === undefined) return undefined;
  const field = (key: string) => fields.find((entry) => entry.key === key);
  checkTestKeys(fields);
  const nameField = field('name');
  if (nameField === undefined) item.fault('A test needs a "name".');
  const name = nameField?.text()?.slice(0, MAX_NAME_LENGTH);
  const protocol = readProtocol(field('protocol'));
  const inputs = readInputs(field('inputs'));
  const outcomes = readOutcomes(field('outcomes'), field('response_headers_present'), protocol, inputs.ldap);
  const showBody = field('show_body')?.boolean() ?? outcomes.showBody;
  if (name === undefined) return undefined;
  const port = field('port')?.integer(1, 65_535);
  return {
    name,
    uri: readUri(field('uri')),
    ...(protocol === undefined ? {} : { protocol }),
    ...(port === undefined ? {} : { port }),
    method: readMethod(field('method')),
    tcpTest: field('tcp_test')?.boolean() ?? false,
    showBody,
    colour: outcomes.colour,
    inputs: inputs.request,
    ldap: { ...inputs.ldap, expected: outcomes.ldapExpected },
    outcomes: outcomes.list,
    location: item.location,
  };
}

function checkTestKeys(fields: readonly Field[]): void {
  for (const entry of fields) {
    if ((TEST_KEYS as readonly string[]).includes(entry.key)) continue;
    if (OLD_KEYS.includes(entry.key)) {
      const message = `"${entry.key}" belongs to the format 0.1; since 0.2 it is ${entry.key === 'url' ? '"uri"' : 'under "inputs"'}.`;
      entry.fault(message, { atKey: true });
    } else if ((OUTCOME_NAMES as readonly string[]).includes(entry.key)) {
      entry.fault(`"${entry.key}" belongs under "outcomes".`, { atKey: true });
    } else {
      entry.unknownKey('key', TEST_KEYS);
    }
  }
}

function readProtocol(field: Field | undefined): Protocol | undefined {
  if (field === undefined) return undefined;
  const text = field.text()?.toLowerCase();
  if (text === undefined) return undefined;
  return (
    PROTOCOLS.find((protocol) => protocol === text) ??
    field.child(text, text).unknownKey('protocol', PROTOCOLS)
  );
}

function readMethod(field: Field | undefined): string {
  const text = field?.text()?.toUpperCase();
  if (field === undefined || text === undefined) return 'GET';
  if (!(METHODS as readonly string[]).includes(text)) field.child(text, text).unknownKey('method', METHODS);
  // Smolder's "option" is sent as HTTP's OPTIONS: no server knows OPTION.
  return text === 'OPTION' ? 'OPTIONS' : text;
}

function readUri(field: Field | undefined): string {
  if (field === undefined || field.value === null) return '';
  const uri = field.text() ?? '';
  if (uri !== '' && !uri.startsWith('/')) {
    field.fault('"uri" is a path and begins with a slash.', {
      didYouMean: `/${uri.replace(/^[a-z]+:\/\/[^/]*\//i, '')}`,
    });
  }
  return uri;
}

interface ReadOutcomes {
  readonly list: readonly Outcome[];
  readonly ldapExpected: readonly Pair[];
  readonly colour: boolean;
  readonly showBody: boolean;
}

function readOutcomes(
  field: Field | undefined,
  olderHeaders: Field | undefined,
  protocol: Protocol | undefined,
  ldap: Omit<LdapInputs, 'expected'> & { readonly attribute?: string },
): ReadOutcomes {
  const list: Outcome[] = [];
  const ldapExpected: Pair[] = [];
  let colour = true;
  let showBody = false;
  const entries = field === undefined || field.value === null ? [] : (field.entries() ?? []);
  for (const entry of [...entries, ...(olderHeaders === undefined ? [] : [olderHeaders])]) {
    if (entry.key === 'colour_output') colour = entry.boolean() ?? true;
    else if (entry.key === 'show_body') showBody = entry.boolean() ?? false;
    else {
      const outcome = readOutcome(entry, protocol ?? 'http', ldap);
      if (outcome === undefined) continue;
      list.push(outcome.outcome);
      ldapExpected.push(...outcome.ldapExpected);
    }
  }
  const spoken = list.some((outcome) => outcome.name === 'expect_status_code');
  const isHttp = protocol === undefined || protocol === 'http' || protocol === 'https';
  if (isHttp && !spoken) list.unshift(readStatusOutcome(undefined));
  return { list, ldapExpected, colour, showBody };
}
