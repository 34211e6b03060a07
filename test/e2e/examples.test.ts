/** Every example is brought to live traffic by the one command that its README names. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Kiln, ROOT } from './kiln.ts';

/** What an example's language is run by, and the Debian package that brings it. */
const NEEDS: Readonly<Record<string, { readonly program: string; readonly debian: string }>> = {
  counter: { program: 'python3', debian: 'python3' },
};

/** Those that need no Docker engine; docker.test.ts runs the others. */
const examples = readdirSync(path.join(ROOT, 'examples')).filter((name) => {
  const file = path.join(ROOT, 'examples', name, 'kiln.yaml');
  return existsSync(file) && !readFileSync(file, 'utf8').includes('kind: container');
});

let kiln: Kiln;
beforeAll(async () => {
  kiln = await Kiln.create();
});
afterAll(() => kiln.destroy());

describe('kiln up', () => {
  for (const name of examples) {
    const need = NEEDS[name];
    const isMissing = need !== undefined && !isInstalled(need.program);
    const why = isMissing ? ` (not here: install the Debian package ${need.debian})` : '';
    test.skipIf(isMissing && process.env.CI !== 'true')(
      `examples/${name}${why}`,
      { timeout: 120_000 },
      async () => {
        const folder = await kiln.example(name);
        const up = await kiln.json<{ component: string; services: { urls: string[] }[] }>('up', folder);
        const urls = up.services.flatMap((service) => service.urls);
        expect(urls.length).toBeGreaterThan(0);
        for (const url of urls) {
          const page = await kiln.ask(new URL(url).hostname);
          expect(page).toMatchObject({ status: 200 });
          const status = await kiln.ask(new URL(url).hostname, '/service/status');
          expect(JSON.parse(status.body)).toMatchObject({ component: up.component });
        }
        const again = await kiln.run('up', folder);
        expect(again.stderr).toContain('nothing to do');
      },
    );
  }

  test('there are examples', () => {
    expect(examples).toContain('storefront');
  });
});

function isInstalled(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
