/** What becomes known against an image that runs: found, and named with the server group that runs it. */
import { afterEach, expect, it } from 'vitest';
import { writeTree } from './bake-fixture.ts';
import { Kiln } from './kiln.ts';

let kiln: Kiln;
afterEach(() => kiln.destroy());

const ADVISORY = {
  id: 'GHSA-bad',
  aliases: ['CVE-2024-1'],
  modified: '2024-01-01T00:00:00Z',
  summary: 'bad lets anybody in',
  database_specific: { severity: 'CRITICAL' },
  affected: [
    {
      package: { ecosystem: 'npm', name: 'bad' },
      ranges: [{ type: 'SEMVER', events: [{ introduced: '0' }, { fixed: '1.2.0' }] }],
    },
  ],
};

it('a new advisory finds the server group that runs what it is about; a waiver lets it pass', async () => {
  kiln = await Kiln.create();
  await writeTree(kiln.directory, {
    'shop/kiln.yaml':
      'component: shop\nversion: 1.0.0\nimage: {kind: bundle}\nservice: {run: node server.js}\n',
    'shop/server.js':
      'require("node:http").createServer((q, s) => s.end("ok")).listen(process.env.PORT, "127.0.0.1");\n',
    'shop/node_modules/bad/package.json': '{"name":"bad","version":"1.1.0"}',
    'osv/GHSA-bad.json': JSON.stringify(ADVISORY),
  });
  await kiln.serve();
  await kiln.json('bake', `${kiln.directory}/shop`);
  const sbom = await kiln.json<{ components: { purl: string }[] }>('sbom', 'shop@1.0.0');
  expect(sbom.components.map(({ purl }) => purl)).toEqual(['pkg:npm/bad@1.1.0']);
  await kiln.json('check', 'shop@1.0.0');
  await kiln.json('deploy', 'shop', 'stage/local', '--image', 'shop@1.0.0');

  const osv = `${kiln.directory}/osv`;
  const found = await kiln.run('scan', '--advisories', osv, '--json');
  expect(found.code).toBe(1);
  expect(JSON.parse(found.stdout)).toMatchObject({
    state: 'failed',
    scanned: 1,
    advisories: 1,
    images: [
      {
        image: { component: 'shop', version: '1.0.0' },
        verdict: { passed: false, blocking: [{ id: 'GHSA-bad', severity: 'critical', fixedIn: '1.2.0' }] },
        groups: ['shop-web-stage-local-v001'],
      },
    ],
  });
  expect(await kiln.json('images', '--image', 'shop@1.0.0')).toMatchObject({
    tested: true,
    state: 'tested',
    checks: expect.arrayContaining([expect.objectContaining({ kind: 'scan', passed: false })]),
  });

  await kiln.json('promote', 'shop', 'golden', '--policy', 'checks=scan');
  const refused = await kiln.run('promote', 'shop@1.0.0', 'golden', '--why', 'good');
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain('scan');

  const until = new Date(Date.now() + 7 * 86_400_000).toISOString().slice(0, 10);
  await kiln.json('scan', '--waive', 'CVE-2024-1', '--why', 'not reachable', '--until', until);
  const waived = await kiln.run('scan', 'shop@1.0.0', '--advisories', osv);
  expect(waived.code).toBe(0);
  expect(waived.stdout).toContain('waived');
  expect(await kiln.json('promote', 'shop@1.0.0', 'golden', '--why', 'good')).toMatchObject({ moved: true });
  expect((await kiln.run('scan', '--waivers')).stdout).toContain('not reachable');
  const past = await kiln.run('scan', '--waive', 'CVE-2024-1', '--why', 'x', '--until', '2020-01-01');
  expect(past.code).toBe(2);
});
