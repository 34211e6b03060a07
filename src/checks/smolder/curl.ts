/** A command line that repeats a test by hand, secrets masked. Pure. */
import { type CheckAddress, destinationOf, originOf } from './address.ts';
import { formText, routedHeaders } from './request.ts';
import { isSensitiveName, MASK, maskSecrets, secretsOf } from './secrets.ts';
import type { Pair, RequestBody, SmokeTest } from './test-file.ts';

/** `curl …` for HTTP, `ldapsearch …` for LDAP (it asks for the password), empty for TCP. */
export function commandLine(test: SmokeTest, address: CheckAddress): string {
  const { protocol } = destinationOf(test, address);
  if (protocol === 'tcp') return '';
  const line = protocol === 'ldap' || protocol === 'ldaps' ? ldapsearch(test, address) : curl(test, address);
  return maskSecrets(line, secretsOf(test));
}

/** What the report shows above a test; without parameters, as Smolder does. */
export function shownUrl(test: SmokeTest, address: CheckAddress): string {
  return maskSecrets(originOf(destinationOf(test, address)) + maskedUri(test.uri), secretsOf(test));
}

function maskedUri(uri: string): string {
  return uri.replace(/([?&])([^=&#]+)=([^&#]*)/g, (whole, mark: string, name: string) =>
    isSensitiveName(decode(name)) ? `${mark}${name}=${MASK}` : whole,
  );
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A stray percent sign: the name stands as it is.
    return text;
  }
}

function curl(test: SmokeTest, address: CheckAddress): string {
  const destination = destinationOf(test, address);
  const headers = routedHeaders(test.inputs.headers, address).map(
    ([name, value]) => `-H ${quoted(`${name}: ${maskedHeader(name, value)}`)}`,
  );
  if (destination.tlsEndedBefore) headers.push('-H "X-Forwarded-Proto: https"');
  if (test.inputs.auth !== undefined) headers.push(`-u ${quoted(`${test.inputs.auth.username}:${MASK}`)}`);
  const cookies = test.inputs.cookies.map(([name]) => `${name}=${MASK}`);
  if (cookies.length > 0) headers.push(`-b ${quoted(cookies.join('; '))}`);
  const { verify } = test.inputs;
  const tls =
    destination.protocol !== 'https' || verify === true
      ? ''
      : typeof verify === 'string'
        ? `--cacert ${quoted(verify)}`
        : '--insecure';
  const follow = test.inputs.allowRedirects ? ' -L' : '';
  const url = originOf(destination) + maskedUri(test.uri) + query(test);
  // The two spaces where nothing stands are Smolder's; the line is compared with what it printed.
  return `curl ${tls} -v -s -o /dev/null${follow} ${headers.join(' ')} ${bodyArguments(test)} -X ${test.method} ${quoted(url)}`;
}

function maskedHeader(name: string, value: string): string {
  if (!isSensitiveName(name)) return value;
  const scheme = /^(Basic|Bearer|Digest|Token)\s/i.exec(value);
  return scheme === null ? MASK : `${scheme[1]} ${MASK}`;
}

function query(test: SmokeTest): string {
  if (test.inputs.params.length === 0) return '';
  const parts = maskedPairs(test.inputs.params).map(
    ([name, value]) => `${encodeURIComponent(name)}=${value === MASK ? MASK : encodeURIComponent(value)}`,
  );
  return `${test.uri.includes('?') ? '&' : '?'}${parts.join('&')}`;
}

function maskedPairs(pairs: readonly Pair[]): readonly Pair[] {
  return pairs.map(([name, value]) => [name, isSensitiveName(name) ? MASK : value]);
}

function bodyArguments(test: SmokeTest): string {
  const { body, headers } = test.inputs;
  const hasType = headers.some(([name]) => name.toLowerCase() === 'content-type');
  // An empty type takes away the one that curl would add by itself.
  const own = (type: string, text: string) =>
    `${hasType ? '' : `-H ${quoted(`Content-Type:${type}`)} `}--data-raw ${singleQuoted(text)}`;
  switch (body.kind) {
    case 'none':
      return '';
    case 'text':
      return own('', body.text);
    case 'json':
      return own(' application/json', JSON.stringify(maskedValue(body.value)));
    case 'form':
      return own(' application/x-www-form-urlencoded', formText(maskedPairs(body.fields)));
    case 'multipart':
      return multipartArguments(body);
  }
}

/** Small files' content stands in the line itself: `-F 'file=<content>;filename=…'`. */
function multipartArguments(body: Extract<RequestBody, { kind: 'multipart' }>): string {
  return [
    ...maskedPairs(body.fields).map(([name, value]) => `--form-string ${singleQuoted(`${name}=${value}`)}`),
    ...body.files.map(
      (file) =>
        `-F ${singleQuoted(`${file.field}="${file.content.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}";filename="${file.filename}"`)}`,
    ),
  ].join(' ');
}

function maskedValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(maskedValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, isSensitiveName(name) ? MASK : maskedValue(item)]),
  );
}

function ldapsearch(test: SmokeTest, address: CheckAddress): string {
  const { bindDn, dn, expected } = test.ldap;
  const who = bindDn === undefined ? '' : ` -D ${quoted(bindDn)} -W`;
  const attributes = expected.map(([attribute]) => singleQuoted(attribute)).join(' ');
  return `ldapsearch -LLL${who} -H ${originOf(destinationOf(test, address))} -x -s base -b ${quoted(dn ?? '')} ${attributes}`;
}

/** Inside double quotes the shell still reads these four. */
function quoted(text: string): string {
  return `"${text.replace(/[\\"$`]/g, '\\$&')}"`;
}

function singleQuoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
