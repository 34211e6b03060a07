/** `inputs` of a test: what Python's requests takes, with Smolder's own older names for some of it. */
import type { Field } from './source.ts';
import type { LdapInputs, Pair, RequestBody, RequestInputs, UploadedFile, Verify } from './test-file.ts';

const INPUT_NAMES = [
  'headers',
  'timeout',
  'verify',
  'allow_redirects',
  'auth',
  'cookies',
  'params',
  'data',
  'json',
  'files',
  'username',
  'password',
  'cookie',
  'file',
  'bind_dn',
  'bind_pw',
  'dn',
  'attr_key',
] as const;
/** Known to requests, but nothing a smoke test should lean on. */
const REFUSED = ['proxies', 'stream', 'cert'];
const DEFAULT_TIMEOUT_SECONDS = 30;
const MAX_TIMEOUT_SECONDS = 3_600;
/** RFC 9110: a header's name is a token; its value has no control characters but the tab. */
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const HEADER_VALUE_FORBIDDEN = /[\u0000-\u0008\u000a-\u001f\u007f]/;

export interface ReadInputs {
  readonly request: RequestInputs;
  readonly ldap: Omit<LdapInputs, 'expected'> & { readonly attribute?: string };
}

export function readInputs(inputs: Field | undefined): ReadInputs {
  const fields = inputs === undefined || inputs.value === null ? [] : (inputs.entries() ?? []);
  for (const entry of fields) {
    if (REFUSED.includes(entry.key))
      entry.fault(`The input "${entry.key}" is not supported.`, { atKey: true });
    else if (!(INPUT_NAMES as readonly string[]).includes(entry.key)) entry.unknownKey('input', INPUT_NAMES);
  }
  const field = (key: string) => fields.find((entry) => entry.key === key && entry.value !== null);
  const headers = readHeaders(field('headers'));
  const auth = readAuth(field('auth'), field('username'), field('password'));
  const request: RequestInputs = {
    headers,
    timeoutMs: readTimeout(field('timeout')),
    allowRedirects: field('allow_redirects')?.boolean() ?? false,
    verify: readVerify(field('verify')),
    ...(auth === undefined ? {} : { auth }),
    cookies: [...readCookies(field('cookies')), ...readCookies(field('cookie'))],
    params: readPairs(field('params')),
    body: readBody(
      field('data'),
      field('json'),
      [...readFiles(field('files')), ...readOneFile(field('file'))],
      headers,
    ),
  };
  return { request, ldap: readLdap(field, auth) };
}

function readLdap(
  field: (key: string) => Field | undefined,
  auth: RequestInputs['auth'],
): ReadInputs['ldap'] {
  const bindDn = field('bind_dn')?.text() ?? auth?.username;
  const bindPassword = field('bind_pw')?.text() ?? auth?.password;
  const dn = field('dn')?.text();
  const attribute = field('attr_key')?.text();
  return {
    ...(bindDn === undefined ? {} : { bindDn }),
    ...(bindPassword === undefined ? {} : { bindPassword }),
    ...(dn === undefined ? {} : { dn }),
    ...(attribute === undefined ? {} : { attribute }),
  };
}

function readHeaders(field: Field | undefined): readonly Pair[] {
  if (field === undefined || field.value === '') return [];
  return (field.entries() ?? []).flatMap((entry): Pair[] => {
    // In requests an empty value leaves the header out.
    const value = entry.value === null ? undefined : entry.text();
    if (!HEADER_NAME.test(entry.key)) entry.fault(`"${entry.key}" is not a header name.`, { atKey: true });
    else if (value !== undefined && HEADER_VALUE_FORBIDDEN.test(value)) {
      entry.fault(`The header "${entry.key}" has a line break or another control character.`);
    } else if (value !== undefined) return [[entry.key, value]];
    return [];
  });
}

/** Seconds, or `[connect, read]` as in requests; Kiln's limit is for the whole test, so the two are added. */
function readTimeout(field: Field | undefined): number {
  if (field === undefined) return DEFAULT_TIMEOUT_SECONDS * 1_000;
  const parts = field.isList ? (field.items() ?? []) : [field];
  const seconds = parts.reduce((sum, part) => sum + (part.positiveNumber() ?? 0), 0);
  if (seconds > MAX_TIMEOUT_SECONDS) field.fault(`"timeout" is longer than ${MAX_TIMEOUT_SECONDS} seconds.`);
  return Math.ceil(seconds * 1_000) || DEFAULT_TIMEOUT_SECONDS * 1_000;
}

function readVerify(field: Field | undefined): Verify {
  if (field === undefined) return true;
  const text = typeof field.value === 'string' ? field.value : undefined;
  const isPath = text !== undefined && /[/.]/.test(text);
  return isPath ? text : (field.boolean() ?? true);
}

function readAuth(
  auth: Field | undefined,
  username: Field | undefined,
  password: Field | undefined,
): RequestInputs['auth'] {
  if (auth?.isMapping) {
    const entries = auth.entries() ?? [];
    for (const entry of entries) {
      if (entry.key !== 'username' && entry.key !== 'password') {
        entry.unknownKey('key of auth', ['username', 'password']);
      }
    }
    return readAuth(
      undefined,
      entries.find((entry) => entry.key === 'username'),
      entries.find((entry) => entry.key === 'password'),
    );
  }
  if (auth !== undefined) {
    const [user, secret, ...more] = auth.items() ?? [];
    if (user === undefined || secret === undefined || more.length > 0) {
      return auth.isList ? auth.fault('"auth" is a list of a user name and a password.') : undefined;
    }
    return readAuth(undefined, user, secret);
  }
  const user = username?.text();
  if (username === undefined && password !== undefined) password.fault('A "password" needs a "username".');
  return user === undefined ? undefined : { username: user, password: password?.text() ?? '' };
}

function readCookies(field: Field | undefined): readonly Pair[] {
  const pairs =
    typeof field?.value === 'string'
      ? field.value.split(';').flatMap((part): Pair[] => {
          const equals = part.indexOf('=');
          return equals < 1 ? [] : [[part.slice(0, equals).trim(), part.slice(equals + 1).trim()]];
        })
      : readPairs(field);
  for (const [name, value] of pairs) {
    if (!HEADER_NAME.test(name) || HEADER_VALUE_FORBIDDEN.test(value) || value.includes(';')) {
      field?.fault(`The cookie "${name}" has a name or value that a cookie cannot have.`);
    }
  }
  return pairs;
}

/** A mapping to one or many values each, a list of pairs, or `a=b&c=d`. */
function readPairs(field: Field | undefined): readonly Pair[] {
  if (field === undefined) return [];
  if (typeof field.value === 'string') return [...new URLSearchParams(field.value)];
  if (field.isList) {
    return (field.items() ?? []).flatMap((item): Pair[] => {
      const [name, value, ...more] = item.items() ?? [];
      if (name === undefined || value === undefined || more.length > 0) {
        item.fault('Each item is a list of a name and a value.');
        return [];
      }
      return [[name.text() ?? '', value.text() ?? '']];
    });
  }
  return (field.entries() ?? []).flatMap((entry): Pair[] => {
    if (entry.value === null) return [];
    const values = entry.isList ? (entry.items() ?? []) : [entry];
    return values.map((value): Pair => [entry.key, value.text() ?? '']);
  });
}

function readBody(
  data: Field | undefined,
  json: Field | undefined,
  files: readonly UploadedFile[],
  headers: readonly Pair[],
): RequestBody {
  if (json !== undefined && (data !== undefined || files.length > 0)) {
    json.fault('"json" cannot stand beside "data" or files: a request has one body.');
  }
  if (files.length > 0) {
    if (typeof data?.value === 'string') data.fault('Beside files, "data" is a mapping of form fields.');
    return { kind: 'multipart', fields: readPairs(data), files };
  }
  if (json !== undefined) return { kind: 'json', value: json.value };
  if (data === undefined) return { kind: 'none' };
  if (typeof data.value !== 'object') return { kind: 'text', text: data.text() ?? '' };
  // requests would send the form `downloadTransaction=status` for a mapping under a JSON content type.
  const type = headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '';
  if (/^application\/([\w.-]+\+)?json\b/i.test(type.trim())) return { kind: 'json', value: data.value };
  if (data.isMapping && (data.entries() ?? []).some((entry) => entry.isMapping)) {
    data.fault('A form field cannot hold a mapping; use "json", or give a JSON content type.');
    return { kind: 'none' };
  }
  return { kind: 'form', fields: readPairs(data) };
}

/** `{field: content}`, `{field: [filename, content, type]}` or `{field: {filename, content, type}}`. */
function readFiles(field: Field | undefined): readonly UploadedFile[] {
  return (field?.entries() ?? []).flatMap((entry): readonly UploadedFile[] => {
    if (entry.isMapping) return readOneFile(entry);
    if (!entry.isList) return [{ field: entry.key, filename: entry.key, content: entry.text() ?? '' }];
    const [filename, content, type] = (entry.items() ?? []).map((item) => item.text());
    if (filename === undefined || content === undefined) {
      entry.fault('A file is a list of its name, its content and, when needed, its type.');
      return [];
    }
    return [{ field: entry.key, filename, content, ...(type === undefined ? {} : { type }) }];
  });
}

function readOneFile(field: Field | undefined): readonly UploadedFile[] {
  const entries = field?.entries();
  if (field === undefined || entries === undefined) return [];
  const known = ['filename', 'content', 'type'];
  for (const entry of entries) if (!known.includes(entry.key)) entry.unknownKey('key of a file', known);
  const text = (key: string) => entries.find((entry) => entry.key === key)?.text();
  const content = text('content');
  if (content === undefined) {
    field.fault('A file needs its "content".');
    return [];
  }
  const type = text('type');
  return [
    {
      field: field.key,
      filename: text('filename') ?? field.key,
      content,
      ...(type === undefined ? {} : { type }),
    },
  ];
}
