/** Against a real slapd, started by the test. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../../test/free-port.ts';
import { parseCheckFile } from './parse.ts';
import { type CheckRun, runChecks } from './run.ts';
import { canConnect } from './tcp.ts';

const SLAPD = ['/usr/sbin/slapd', '/usr/libexec/slapd', '/usr/lib/openldap/slapd'].find(existsSync);
const SECRET = 'hunter2-directory';

const CONFIG = (folder: string) => `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile ${folder}/slapd.pid
TLSCertificateFile ${folder}/cert.pem
TLSCertificateKeyFile ${folder}/key.pem
database mdb
suffix "dc=kiln,dc=test"
rootdn "cn=admin,dc=kiln,dc=test"
rootpw ${SECRET}
directory ${folder}/data
access to attrs=userPassword by anonymous auth by * none
access to * by * read
`;
const ENTRIES = `dn: dc=kiln,dc=test
objectClass: dcObject
objectClass: organization
dc: kiln
o: Kiln

dn: cn=potter,dc=kiln,dc=test
objectClass: inetOrgPerson
cn: potter
sn: Clay
mail: potter@kiln.test
userPassword: ${SECRET}
`;

if (SLAPD === undefined && process.env.CI === 'true') {
  it('has slapd', () => expect.fail('Install the Debian package slapd.'));
}

describe.skipIf(SLAPD === undefined)('LDAP (needs the Debian package slapd)', () => {
  let folder = '';
  let port = 0;
  let tlsPort = 0;
  let server: ChildProcess | undefined;

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'kiln-slapd-'));
    mkdirSync(path.join(folder, 'data'));
    const subject = ['-subj', '/CN=kiln-test', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const keys = ['-newkey', 'rsa:2048', '-nodes', '-keyout', 'key.pem', '-out', 'cert.pem', '-days', '2'];
    execFileSync('openssl', ['req', '-x509', ...keys, ...subject], { cwd: folder, stdio: 'ignore' });
    const config = path.join(folder, 'slapd.conf');
    writeFileSync(config, CONFIG(folder));
    execFileSync(SLAPD ?? '', ['-T', 'add', '-f', config], {
      input: ENTRIES,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    port = await freePort();
    tlsPort = await freePort();
    const urls = `ldap://127.0.0.1:${port} ldaps://127.0.0.1:${tlsPort}`;
    // A debug level, even 0, keeps it in the foreground.
    server = spawn(SLAPD ?? '', ['-f', config, '-h', urls, '-d', '0'], { stdio: 'ignore' });
    const deadline = Date.now() + 30_000;
    while (!(await canConnect('127.0.0.1', tlsPort, AbortSignal.timeout(30_000)))) {
      if (Date.now() > deadline) throw new Error('slapd does not listen.');
      await delay(50);
    }
  });

  afterAll(async () => {
    if (server !== undefined && server.exitCode === null) {
      const gone = new Promise((resolve) => server?.once('exit', resolve));
      server.kill('SIGKILL');
      await gone;
    }
    rmSync(folder, { recursive: true, force: true });
  });

  function run(test: Record<string, unknown>): Promise<CheckRun> {
    const text = JSON.stringify({ tests: [{ name: 'directory', protocol: 'ldap', ...test }] });
    const isTls = test.protocol === 'ldaps';
    return runChecks({
      tests: parseCheckFile(text, 'f'),
      address: { kind: 'host', host: '127.0.0.1', port: isTls ? tlsPort : port },
      clock: { now: Date.now, monotonic: () => performance.now(), sleep: async () => {} },
      signal: AbortSignal.timeout(30_000),
      readAuthorities: async (file) => (await import('node:fs/promises')).readFile(file, 'utf8'),
    });
  }

  const lines = (result: CheckRun) =>
    result.tests.flatMap((test) =>
      test.outcomes.map(({ name, message, status }) => `${status} ${name}: ${message}`),
    );
  const bind = { bind_dn: 'cn=admin,dc=kiln,dc=test', bind_pw: SECRET };
  const potter = { dn: 'cn=potter,dc=kiln,dc=test', attr_key: 'mail' };

  it('compares an attribute of an entry', async () => {
    const good = await run({
      inputs: { ...bind, ...potter },
      outcomes: { ldap_attribute_value_equals: 'potter@kiln.test', response_max_time_ms: 30_000 },
    });
    expect(lines(good)[0]).toBe(
      'pass ldap_attribute_value_equals: mail,cn=potter,dc=kiln,dc=test=potter@kiln.test',
    );
    expect(good).toMatchObject({ passedCount: 2, failedCount: 0 });
    const bad = await run({
      inputs: { ...bind, ...potter },
      outcomes: { ldap_attribute_value_equals: 'x@y' },
    });
    expect(lines(bad)).toEqual([
      "fail ldap_attribute_value_equals: mail,cn=potter,dc=kiln,dc=test != 'x@y' (Got 'potter@kiln.test' instead)",
    ]);
  });

  it('compares every attribute of a map, anonymously, where there may be none', async () => {
    const result = await run({
      inputs: { dn: potter.dn },
      outcomes: { ldap_attribute_value_equals: { sn: 'Clay', mail: 'no', title: 'Potter' } },
    });
    expect(lines(result).map((line) => line.slice(0, 4))).toEqual(['pass', 'fail', 'fail']);
    const nobody = await run({
      inputs: { dn: 'cn=nobody,dc=kiln,dc=test' },
      outcomes: { ldap_attribute_value_equals: { sn: 'Clay' } },
    });
    expect(lines(nobody)).toEqual([
      "fail ldap_attribute_value_equals: sn,cn=nobody,dc=kiln,dc=test != 'Clay' (Got '' instead)",
    ]);
  });

  it('shows no password, neither for binding nor as a value', async () => {
    const result = await run({
      inputs: { ...bind, dn: potter.dn, attr_key: 'userPassword' },
      outcomes: { ldap_attribute_value_equals: 'wrong' },
    });
    expect(result.failedCount).toBe(1);
    expect(JSON.stringify(result)).not.toContain(SECRET);
  });

  it('fails where it cannot bind or connect', async () => {
    const denied = await run({ inputs: { ...bind, bind_pw: 'other-password', ...potter } });
    expect(lines(denied)[0]).toMatch(/^fail connection: No answer from ldap.*(invalid credentials|0x31)/i);
    expect(JSON.stringify(denied)).not.toContain('other-password');
    const refused = await run({ port: await freePort(), inputs: { dn: 'dc=x' } });
    expect(lines(refused)[0]).toMatch(/^fail connection: .* refused the connection$/);
  });

  it('passes when it binds and nothing else is asked', async () => {
    expect(lines(await run({ inputs: bind }))).toEqual(['pass ldap: Bound']);
  });

  it('speaks TLS, verified unless told not to', async () => {
    const outcomes = { ldap_attribute_value_equals: 'potter@kiln.test' };
    const verdicts = [];
    for (const verify of [undefined, false, path.join(folder, 'cert.pem')]) {
      const inputs = { ...potter, ...(verify === undefined ? {} : { verify }) };
      verdicts.push(lines(await run({ protocol: 'ldaps', inputs, outcomes }))[0]?.slice(0, 24));
    }
    expect(verdicts).toEqual([
      'fail SSLVerify: Certific',
      'pass ldap_attribute_valu',
      'pass ldap_attribute_valu',
    ]);
  });
});
