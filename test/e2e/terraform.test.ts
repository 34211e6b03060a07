/** Terraform itself reads an image over its http backend. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CommandResult, Kiln } from './kiln.ts';

/** Undefined when it is there; in CI it has to be. */
function noTerraform(): string | undefined {
  if (spawnSync('terraform', ['version'], { env: { ...process.env, CHECKPOINT_DISABLE: '1' } }).status === 0)
    return undefined;
  const missing =
    'needs terraform, which is in no Debian package: https://developer.hashicorp.com/terraform/install';
  if (process.env.CI === 'true') throw new Error(missing);
  return missing;
}

const missing = noTerraform();

describe.skipIf(missing !== undefined)(`terraform${missing === undefined ? '' : ` (${missing})`}`, () => {
  let kiln: Kiln;
  let token: string;
  let url: string;
  beforeAll(async () => {
    kiln = await Kiln.create();
    await kiln.serve();
    const app = await kiln.example('storefront');
    await kiln.json('bake', app, '--version', '1.0.0', '--tag', 'env=stage');
    await kiln.json('check', 'storefront@1.0.0');
    await kiln.json('promote', 'storefront@1.0.0', 'golden');
    ({ secret: token } = await kiln.json<{ secret: string }>(
      'tokens',
      'create',
      'terraform',
      '--role',
      'viewer',
    ));
    url = (await kiln.serverFile())?.url ?? '';
  });
  afterAll(() => kiln.destroy());

  /** A root module of its own for each query. */
  async function moduleFor(name: string, query: string): Promise<string> {
    const folder = path.join(kiln.directory, name);
    await mkdir(folder);
    await writeFile(path.join(folder, 'terraform.rc'), 'disable_checkpoint = true\n');
    await writeFile(
      path.join(folder, 'main.tf'),
      `variable "kiln_token" {
  type      = string
  sensitive = true
}
data "terraform_remote_state" "web" {
  backend = "http"
  config = {
    address  = "${url}/api/v1/terraform/state?query=${encodeURIComponent(query)}"
    username = "terraform"
    password = var.kiln_token
  }
}
output "digest" {
  value = data.terraform_remote_state.web.outputs.digest
}
output "tags" {
  value = data.terraform_remote_state.web.outputs.tags
}
`,
    );
    return folder;
  }

  function terraform(folder: string, ...args: string[]): Promise<CommandResult> {
    const env = {
      ...process.env,
      CHECKPOINT_DISABLE: '1',
      TF_IN_AUTOMATION: '1',
      TF_CLI_CONFIG_FILE: path.join(folder, 'terraform.rc'),
      TF_DATA_DIR: path.join(folder, 'data'),
      TF_VAR_kiln_token: token,
    };
    return new Promise((resolve) => {
      execFile('terraform', args, { env, cwd: folder, timeout: 300_000 }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        resolve({ code, stdout, stderr });
      });
    });
  }

  async function applied(folder: string): Promise<CommandResult> {
    const begun = await terraform(folder, 'init', '-no-color', '-input=false');
    expect(begun).toMatchObject({ code: 0 });
    return terraform(folder, 'apply', '-auto-approve', '-no-color', '-input=false');
  }

  test('reads what a channel holds, and fails where nothing fits or what fits is revoked', async () => {
    const folder = await moduleFor('golden', 'storefront:golden env=stage');
    expect(await applied(folder)).toMatchObject({ code: 0 });
    const digest = await terraform(folder, 'output', '-raw', 'digest');
    expect(digest.stdout).toMatch(/^sha256:[0-9a-f]{64}$/);
    const asked = await kiln.run('images', 'storefront:golden', '--format', '{{digest}}');
    expect(asked).toMatchObject({ code: 0, stdout: `${digest.stdout}\n` });
    const tags = await terraform(folder, 'output', '-json', 'tags');
    expect(JSON.parse(tags.stdout)).toMatchObject({ env: 'stage', version: '1.0.0' });

    const none = await applied(await moduleFor('none', 'storefront:golden env=live'));
    expect(none.code).not.toBe(0);
    expect(none.stderr).toContain('Unable to find remote state');

    await kiln.json('revoke', 'storefront@1.0.0', '--why', 'leaks its log');
    const revoked = await terraform(folder, 'apply', '-auto-approve', '-no-color', '-input=false');
    expect(revoked.code).not.toBe(0);
    expect(revoked.stdout).not.toContain('No changes');
  });
});
