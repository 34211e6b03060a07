/** Every outcome that a check file may name, and the protocols that it says something about. */
import type { Field } from '../source.ts';
import type { LdapInputs, Outcome, Pair, Protocol } from '../test-file.ts';
import { readBodyContains, readBodyDoesntContain } from './body-text.ts';
import { readHeadersPresent, readHeaderValueContains, readHeaderValues } from './headers.ts';
import { readJsonContains } from './json-contains.ts';
import { readLdapAttribute } from './ldap-attribute.ts';
import { readMaxTime } from './max-time.ts';
import { readRedirect } from './redirect.ts';
import { readStatusOutcome } from './status.ts';
import { readValidateJson } from './validate-json.ts';

const HTTP: readonly Protocol[] = ['http', 'https'];
const LDAP: readonly Protocol[] = ['ldap', 'ldaps'];

interface OutcomeKind {
  readonly protocols: readonly Protocol[];
  read(field: Field): Outcome;
}

const HTTP_OUTCOMES: Readonly<Record<string, OutcomeKind>> = {
  expect_status_code: { protocols: HTTP, read: readStatusOutcome },
  response_body_contains: { protocols: HTTP, read: readBodyContains },
  response_body_doesnt_contain: { protocols: HTTP, read: readBodyDoesntContain },
  response_json_contains: { protocols: HTTP, read: readJsonContains },
  response_max_time_ms: { protocols: [...HTTP, ...LDAP], read: readMaxTime },
  response_redirect: { protocols: HTTP, read: readRedirect },
  response_header_values: { protocols: HTTP, read: readHeaderValues },
  response_header_value_contains: { protocols: HTTP, read: readHeaderValueContains },
  headers_present: { protocols: HTTP, read: readHeadersPresent },
  response_headers_present: { protocols: HTTP, read: readHeadersPresent },
  validate_json: { protocols: HTTP, read: readValidateJson },
};
const LDAP_OUTCOME = 'ldap_attribute_value_equals';

export const OUTCOME_NAMES: readonly string[] = [
  ...Object.keys(HTTP_OUTCOMES),
  LDAP_OUTCOME,
  'colour_output',
  'show_body',
];

export interface ReadOutcome {
  readonly outcome: Outcome;
  readonly ldapExpected: readonly Pair[];
}

/** Undefined, with a fault, for an outcome that does not exist or says nothing about the protocol. */
export function readOutcome(
  field: Field,
  protocol: Protocol,
  ldap: Omit<LdapInputs, 'expected'> & { readonly attribute?: string },
): ReadOutcome | undefined {
  const kind = Object.hasOwn(HTTP_OUTCOMES, field.key) ? HTTP_OUTCOMES[field.key] : undefined;
  if (kind === undefined && field.key !== LDAP_OUTCOME) return field.unknownKey('outcome', OUTCOME_NAMES);
  if (!(kind?.protocols ?? LDAP).includes(protocol)) {
    return field.fault(`"${field.key}" says nothing about a ${protocol} test.`, { atKey: true });
  }
  return kind === undefined
    ? readLdapAttribute(field, ldap)
    : { outcome: kind.read(field), ldapExpected: [] };
}
