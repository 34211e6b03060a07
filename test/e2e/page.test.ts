/** The live page in a real browser: signs in by a code, shows what runs, and shows what it will do before it does it. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GitRemote } from '../pipeline/git-remote.ts';
import { bakeShop } from './journey-shop.ts';
import { Kiln } from './kiln.ts';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
);
const LIMIT_MS = 30_000;
const skipped = CHROMIUM === undefined && process.env.CI !== 'true';

async function bakeChild(kiln: Kiln): Promise<void> {
  const folder = path.join(kiln.directory, 'child');
  await mkdir(folder);
  const text = 'component: child\nimage: {base: shop@golden, run: node server.js}\nservice: {}\n';
  await writeFile(path.join(folder, 'kiln.yaml'), text);
  await kiln.json('bake', folder, '--version', '1.0.0');
}

/** How many pixels of the page a reader on a phone would have to push aside to see. */
async function beyondAPhone(page: Page): Promise<number> {
  const before = page.viewportSize();
  await page.setViewportSize({ width: 390, height: 844 });
  const beyond = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
  if (before !== null) await page.setViewportSize(before);
  return beyond;
}

describe.skipIf(skipped)(
  `the page${skipped ? ' (chromium is not installed: Debian package chromium)' : ''}`,
  () => {
    let kiln: Kiln;
    let browser: Browser;
    let page: Page;
    const complaints: string[] = [];

    beforeAll(async () => {
      kiln = await Kiln.create();
      await kiln.serve();
      for (const version of ['1.0.0', '2.0.0'])
        await bakeShop(kiln, version, { text: version, instances: 2, greeting: `hidden in ${version}` });
      await kiln.json('deploy', 'shop@1.0.0', 'stage/local');
      browser = await chromium.launch({
        ...(CHROMIUM === undefined ? {} : { executablePath: CHROMIUM }),
        args: ['--no-sandbox'],
      });
      page = await browser.newPage();
      page.setDefaultTimeout(LIMIT_MS);
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('console', (message) => {
        // A query that cannot be read is answered with 400, a folder that is none with 422. Whatever breaks the content security policy is told here too.
        if (message.type() === 'error' && !/net::ERR_|40[01]|422/.test(message.text()))
          complaints.push(message.text());
      });
    });
    afterAll(async () => {
      await browser?.close();
      await kiln?.destroy();
    });

    test('is shut without a token, and a code opens it once', async () => {
      const { url } = await kiln.json<{ url: string }>('open');
      await page.goto(new URL('/', url).href);
      await page.getByText('kiln open').waitFor();
      await page.goto(url);
      await page.getByRole('heading', { name: 'shop' }).waitFor();
      expect(page.url()).not.toContain('kilncode');

      const other = await browser.newPage();
      await other.goto(url);
      await other.getByRole('alert').or(other.getByText('is not known here')).first().waitFor();
      await other.close();
    });

    test('shows what serves, as status does', async () => {
      await page.getByRole('link', { name: /stage\/local.*serving.*1\.0\.0/ }).waitFor();
      await page.locator('.bricks .ready').nth(1).waitFor();
      expect(await page.locator('.bricks .ready').count()).toBe(2);
    });

    test('shows the very steps of a deployment, and takes them', async () => {
      await page.getByRole('link', { name: 'Images' }).click();
      await page.getByRole('link', { name: '2.0.0' }).click();
      await page.getByRole('button', { name: 'Deploy to stage/local…' }).click();
      const planned = await kiln.json<{ steps: { text: string }[] }>('plan', 'shop@2.0.0', 'stage/local');
      const shown = page.getByRole('dialog').locator('.steps').first().getByRole('listitem');
      await shown.first().waitFor();
      expect(await shown.allTextContents()).toEqual(planned.steps.map((step) => step.text));

      await page.getByRole('button', { name: 'Deploy', exact: true }).click();
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      await page.getByRole('link', { name: 'Services' }).click();
      await page.getByRole('link', { name: /stage\/local.*serving.*2\.0\.0/ }).waitFor();
      expect((await kiln.ask('shop.stage.localhost')).body).toContain('2.0.0');
    });

    test('finds images by query, shows lineage both ways, what differs, and what a channel still demands; takes it back', async () => {
      for (const version of ['1.0.0', '2.0.0']) {
        await kiln.json('check', `shop@${version}`);
        await kiln.json('promote', `shop@${version}`, 'golden');
        if (version === '1.0.0') await bakeChild(kiln);
      }
      await kiln.json('promote', 'shop', 'ready', '--policy', 'checks=scan approvals=1');

      await page.getByRole('link', { name: 'Images' }).click();
      await page.getByLabel('Query').fill('child outdtaed=true');
      await page.getByRole('button', { name: 'Find' }).click();
      await page.getByRole('alert').getByText('outdated').first().waitFor();
      await page.getByLabel('Query').fill('child outdated=true');
      await page.getByRole('button', { name: 'Find' }).click();
      await page.getByRole('row', { name: /child 1\.0\.0 .*outdated/ }).waitFor();
      await page.getByRole('row', { name: /child/ }).getByRole('link', { name: '1.0.0' }).click();
      const tree = page.locator('.lineage');
      await tree.getByText('from shop@golden').waitFor();
      await tree.getByRole('link', { name: 'shop 1.0.0' }).click();
      await tree.getByRole('link', { name: 'child 1.0.0' }).waitFor();

      await page.getByRole('link', { name: '2.0.0', exact: true }).click();
      await page
        .getByRole('heading', { name: /1\.0\.0|2\.0\.0/ })
        .first()
        .waitFor();
      await page
        .locator('.differences')
        .getByText('app/text.json')
        .or(page.getByText('text.json'))
        .first()
        .waitFor();
      await page.locator('.lead').getByRole('link', { name: '2.0.0' }).click();
      const ready = page.locator('.channel-steps li', { hasText: 'ready' });
      await ready.getByText('it has had no check of kind scan; 0 of 1 approvals').waitFor();
      await page.locator('.channel-steps .held', { hasText: 'golden' }).waitFor();

      await page.getByRole('link', { name: 'Channels' }).click();
      const golden = page.getByRole('row', { name: /golden/ });
      await golden.getByRole('link', { name: '2.0.0' }).waitFor();
      await golden.getByRole('button', { name: 'Back' }).click();
      await golden.getByRole('link', { name: '1.0.0' }).waitFor();
      const { items } = await kiln.json<{ items: { version: string; by: string }[] }>('channels', 'shop');
      expect(items).toMatchObject([{ version: '1.0.0', by: 'page of local' }]);
      await page.getByRole('link', { name: 'Services' }).click();
    });

    test('follows the log of the instances', async () => {
      await page.getByRole('link', { name: /stage\/local/ }).click();
      await page.locator('.log').getByText('release 2 starts as well').first().waitFor();
    });

    test('shows a pipeline: its way through the graph, the approval, the log at any line', async () => {
      const directory = path.join(kiln.directory, 'piped');
      await mkdir(directory);
      await writeFile(
        path.join(directory, 'kiln.yaml'),
        'component: piped\nimage: {kind: bundle, run: sleep 1}\nservice: {port: 8080}\n',
      );
      const commands = ["printf '\\033[32mgreen\\033[0m\\n'", "seq -f 'line %.0f' 2 30000"];
      const States = {
        Build: { Type: 'Task', Resource: 'cmd', Parameters: { commands }, ResultPath: null, Next: 'Ask' },
        Ask: {
          Type: 'Task',
          Resource: 'approve',
          Parameters: { message: 'go on', environment: 'stage/local', image: 'shop@1.0.0' },
          ResultPath: '$.asked',
          Next: 'Sorry',
        },
        Sorry: { Type: 'Fail', Error: 'Piped.Sorry', CausePath: 'States.JsonToString($.asked)' },
      };
      await writeFile(path.join(directory, 'pipeline.yaml'), JSON.stringify({ StartAt: 'Build', States }));
      const { id } = await kiln.json<{ id: string }>('pipeline', 'run', directory);

      await page.getByRole('link', { name: 'Pipelines' }).click();
      await page.getByRole('link', { name: /piped/ }).click();
      await page.getByRole('link', { name: id.slice(0, 13) }).click();
      await page.locator('[data-state=Build].succeeded').waitFor();
      await page.locator('[data-state=Ask].waiting').waitFor();
      const log = page.getByRole('log');
      await log.locator('.ansi-2', { hasText: 'green' }).waitFor();
      expect(await log.locator('.line').count()).toBeLessThan(200);
      const logs = await kiln.call('GET', `/api/v1/executions/${id}/logs`);
      const { items } = (await logs.json()) as { items: { task: string }[] };
      await page.goto(`${page.url().replace(/#.*/, '')}#/executions/${id}/${items[0]?.task}/29000`);
      await log.getByText('line 29000', { exact: true }).waitFor();

      // Beside the button stands what would change: release 2 of the same service serves there.
      const evidence = page.locator('.evidence');
      await evidence.getByText('replaces 2.0.0 of release 2').waitFor();
      await evidence.getByRole('row', { name: 'content app/text.json' }).waitFor();
      await evidence.locator('.config-keys .changed', { hasText: 'greeting' }).waitFor();
      await evidence.getByText(/passed smoke at bake\/local: \d+ passed, 0 failed/).waitFor();
      expect(await evidence.textContent()).not.toContain('hidden in');
      const why = (await kiln.run('pipeline', 'why', id)).stdout;
      expect(why).toMatch(/shop 1\.0\.0 to stage\/local: 2\.0\.0 of release 2 serves there now/);
      expect(why).toMatch(/file +content +app\/text\.json/);
      expect(why).toMatch(/config +changed +greeting/);
      expect(why).not.toContain('hidden in');

      await page.getByRole('button', { name: 'Approve' }).click();
      await page.locator('[data-state=Sorry].failed').waitFor();
      // What was decided on is kept with the word itself.
      const { cause = '' } = await kiln.json<{ cause?: string }>('pipeline', 'show', id);
      expect(JSON.parse(cause)).toMatchObject({
        approved: true,
        releases: [{ component: 'shop', version: '1.0.0', replaces: { release: 2, version: '2.0.0' } }],
      });
      await page.getByText('Piped.Sorry').first().waitFor();
      expect(await beyondAPhone(page)).toBe(0);
      await page.getByRole('link', { name: 'Pipelines' }).click();
      await page.getByRole('link', { name: /piped.*failing/ }).click();
      await page.getByRole('searchbox').fill('piped.sorry');
      await page.getByRole('link', { name: id.slice(0, 13) }).waitFor();
      expect(await beyondAPhone(page)).toBe(0);
      await page.getByRole('searchbox').fill('nothing of this');
      await page.getByText('Nothing fits.').waitFor();
      await page.getByRole('link', { name: 'Services' }).click();
      await page.getByRole('link', { name: /stage\/local/ }).click();
    });

    test('starts a pipeline of a folder, a repository or a source: asks for its parameters, says at each what is wrong', async () => {
      const files = {
        'kiln.yaml': 'component: asked\nimage: {run: sleep 1}\nservice: {}\n',
        'pipeline.yaml': JSON.stringify({
          Parameters: [
            { name: 'note', description: 'Why it is started' },
            { name: 'count', type: 'number', default: 2 },
            { name: 'where', default: 'stage', allowed: ['stage', 'live'] },
            { name: 'careful', type: 'boolean' },
          ],
          StartAt: 'Told',
          States: { Told: { Type: 'Pass', OutputPath: '$.parameters', End: true } },
        }),
      };
      const remote = new GitRemote(kiln.directory, 'asked');
      remote.commit('first', files);
      remote.git('tag', 'v1');
      remote.push('main', 'v1');
      await kiln.json('pipeline', 'watch', remote.url, '--parameters', 'careful=true');
      const dialog = page.getByRole('dialog');
      const field = (name: string) => dialog.getByRole('textbox', { name });
      const open = async (kind: string): Promise<void> => {
        await page.getByRole('link', { name: 'Pipelines' }).click();
        await page.getByRole('button', { name: 'Start a pipeline' }).click();
        await dialog.locator('.choice label', { hasText: kind }).click();
      };
      const next = () => dialog.getByRole('button', { name: 'Next' }).click();
      const started = async (): Promise<unknown> => {
        await dialog.getByRole('button', { name: 'Start' }).click();
        await page.waitForURL(/#\/executions\/exec-/);
        const id = page.url().split('/').at(-1) ?? '';
        await page.getByText('succeeded', { exact: true }).first().waitFor();
        return (await kiln.json('pipeline', 'show', id)).output;
      };

      await open('Folder');
      await field('Folder').fill(path.join(kiln.directory, 'nowhere'));
      await next();
      await dialog.getByRole('alert').waitFor();
      await field('Folder').fill(remote.work);
      await next();
      const count = dialog.getByLabel('count');
      await count.waitFor();
      expect([await count.inputValue(), await count.getAttribute('type')]).toEqual(['2', 'number']);
      const where = dialog.getByLabel('where');
      expect(await where.locator('option').allTextContents()).toEqual(['stage', 'live']);
      await field('note').fill('7');
      await count.fill('3');
      await where.selectOption('live');
      await dialog.getByLabel('careful').selectOption('true');
      expect(await started()).toEqual({ note: '7', count: 3, where: 'live', careful: true });

      await open('Git repository');
      await field('Repository').fill(remote.url);
      await field('Branch, tag or commit').fill('v2');
      await next();
      await dialog.getByText('v2 is no branch, tag or commit of it').waitFor();
      await field('Branch, tag or commit').fill('v1');
      await next();
      await dialog.getByRole('button', { name: 'Start' }).click();
      await dialog.getByRole('alert').getByText('not right: note, careful').waitFor();
      for (const name of ['note', 'careful'])
        await dialog.locator('.asked', { hasText: name }).getByText('is missing: give').waitFor();
      expect(await dialog.locator('[aria-invalid=true]').count()).toBe(2);
      await field('note').fill('seen');
      await dialog.getByLabel('careful').selectOption('false');
      expect(await started()).toEqual({ note: 'seen', count: 2, where: 'stage', careful: false });

      // What it was registered with is filled in.
      await open('Watched');
      await dialog.getByRole('radio', { name: `asked ${remote.url} main` }).check();
      await next();
      await field('note').fill('again');
      expect(await dialog.getByLabel('careful').inputValue()).toBe('true');
      expect(await started()).toEqual({ note: 'again', count: 2, where: 'stage', careful: true });
      await page.getByRole('link', { name: 'Services' }).click();
      await page.getByRole('link', { name: /stage\/local/ }).click();
    });

    test('says that the server does not answer, and goes on when it does', async () => {
      const address = (await kiln.serverFile())?.url ?? '';
      await kiln.kill();
      await page.getByText('no connection').waitFor();
      await kiln.serve('--listen', new URL(address).host);
      await page.getByText('live', { exact: true }).waitFor();
      await page.getByRole('heading', { name: 'shop in stage/local' }).waitFor();
      await page.locator('.log').getByText('release 2 starts as well').first().waitFor();
    });

    test('complained of nothing, and signs out', async () => {
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByText('kiln open').waitFor();
      expect(complaints).toEqual([]);
    });
  },
);
