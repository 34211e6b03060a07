/** What must never be printed, and the masks that stand in its place. */
import type { SmokeTest } from './test-file.ts';

export const MASK = '***';

const SENSITIVE_NAME =
  /^(proxy-)?authorization$|cookie|passw(or)?d|^pass$|^pwd$|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credential|signature|^sig$|^session([-_]?id)?$/i;
/** Shorter texts would blot out unrelated words of a report, and hide nothing. */
const MIN_SECRET_LENGTH = 3;

/** True for names of headers, parameters, fields and attributes whose values are not for the eye. */
export function isSensitiveName(name: string): boolean {
  return SENSITIVE_NAME.test(name);
}

/** The secrets that a test sends, in every form in which a server might echo them. Longest first. */
export function secretsOf(test: SmokeTest): readonly string[] {
  const { inputs, ldap } = test;
  const plain = new Set<string>();
  if (inputs.auth !== undefined) {
    const { username, password } = inputs.auth;
    plain.add(password).add(Buffer.from(`${username}:${password}`).toString('base64'));
  }
  if (ldap.bindPassword !== undefined) plain.add(ldap.bindPassword);
  for (const [, value] of inputs.cookies) plain.add(value);
  for (const [name, value] of [...inputs.headers, ...inputs.params]) {
    if (!isSensitiveName(name)) continue;
    plain.add(value);
    const scheme = /^\S+\s+(.+)$/.exec(value);
    if (scheme?.[1] !== undefined) plain.add(scheme[1]);
  }
  collectFromBody(test, plain);
  const forms = [...plain].flatMap(writings);
  return [...new Set(forms)]
    .filter((secret) => secret.length >= MIN_SECRET_LENGTH)
    .sort((a, b) => b.length - a.length);
}

/** As it is, and as it stands in a URL, in a form, in JSON, in JSON within JSON, and in HTML. */
function writings(given: string): readonly string[] {
  const secret = given.toWellFormed();
  const inJson = JSON.stringify(secret).slice(1, -1);
  return [
    secret,
    encodeURIComponent(secret),
    new URL(`http://h/?${secret}`).search.slice(1),
    new URLSearchParams([['', secret]]).toString().slice(1),
    inJson,
    JSON.stringify(inJson).slice(1, -1),
    secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;'),
  ];
}

function collectFromBody({ inputs: { body } }: SmokeTest, into: Set<string>): void {
  if (body.kind === 'json') collectFromValue(body.value, false, into);
  if (body.kind === 'form' || body.kind === 'multipart') {
    for (const [name, value] of body.fields) if (isSensitiveName(name)) into.add(value);
  }
}

function collectFromValue(value: unknown, sensitive: boolean, into: Set<string>): void {
  if (typeof value === 'object' && value !== null) {
    for (const [name, item] of Object.entries(value)) {
      collectFromValue(item, sensitive || isSensitiveName(name), into);
    }
  } else if (sensitive && (typeof value === 'string' || typeof value === 'number')) into.add(String(value));
}

export function maskSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce((masked, secret) => masked.replaceAll(secret, MASK), text);
}
