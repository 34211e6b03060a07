import type { Answer } from '../../api/contract.ts';
import { KilnError } from '../../domain/errors.ts';
import { WEBHOOK_PROVIDERS } from '../../domain/webhook.ts';
import { answer, type Context, choiceFlag, hint, textFlag } from '../context.ts';
import { serverAddress } from '../environment.ts';
import { table } from '../table.ts';

type Added = Answer<'webhooks.add'>;

export async function run(context: Context): Promise<number> {
  const [action = 'list', name] = context.args;
  if (action === 'list') return list(context);
  if (action === 'add' && name !== undefined) return add(context, name);
  if (action === 'remove' && name !== undefined) return remove(context, name);
  throw new KilnError('input.invalid', `"kiln webhook ${context.args.join(' ')}" is not known.`, {
    next: 'Use: kiln webhook list, kiln webhook add NAME, or kiln webhook remove NAME.',
  });
}

async function list(context: Context): Promise<number> {
  const webhooks = await context.client().call('webhooks.list', {}, { signal: context.signal });
  return answer(context, webhooks, () =>
    table(
      ['NAME', 'PROVIDER', 'REPOSITORY', 'ADDRESS', 'STATUSES'],
      webhooks.items.map(({ name, provider, repository, url, status }) => [
        name,
        provider,
        repository,
        url,
        status === undefined ? '-' : `${status.api}, secret ${status.secret}`,
      ]),
      context.terminal.colors,
    ),
  );
}

async function add(context: Context, name: string): Promise<number> {
  const { flags } = context;
  const provider = choiceFlag(flags, 'provider', '--provider', WEBHOOK_PROVIDERS);
  const repository = textFlag(flags, 'repository');
  if (provider === undefined || repository === undefined) {
    throw new KilnError('input.invalid', 'A webhook needs to know its provider and its repository.', {
      next: 'Say which: kiln webhook add shop --provider github --repository https://github.com/octocat/shop.git',
    });
  }
  const secret = textFlag(flags, 'statusSecret');
  const api = textFlag(flags, 'statusApi');
  if (api !== undefined && secret === undefined) {
    throw new KilnError('input.invalid', '--status-api is of no use without a token.', {
      next: 'Name the server’s secret that holds it: --status-secret NAME',
    });
  }
  const serverUrl = textFlag(flags, 'url') ?? serverAddress(context.env, context.stateDirectory).url;
  const status = secret === undefined ? {} : { status: { secret, ...(api !== undefined && { api }) } };
  const body = { name, provider, repository, serverUrl, ...status };
  const added = await context.client().call('webhooks.add', { body }, { signal: context.signal });
  hint(context, 'the secret is shown this once');
  return answer(context, added, () => steps(added));
}

function steps({ webhook: { provider, url }, secret }: Added): string {
  return [
    `address  ${url}`,
    `secret   ${secret ?? '(answered before, and not kept: remove the webhook and add it again)'}`,
    '',
    ...WHERE[provider],
  ].join('\n');
}

/** What to do at the provider, as its pages call it. */
const WHERE: Readonly<Record<Added['webhook']['provider'], readonly string[]>> = {
  github: [
    'In the repository: Settings → Webhooks → Add webhook.',
    'Payload URL: the address. Content type: application/json. Secret: the secret.',
    'Events: "Let me select individual events": Pushes and Pull requests.',
  ],
  gitlab: [
    'In the project: Settings → Webhooks → Add new webhook.',
    'URL: the address. Signing token, or where there is none Secret token: the secret.',
    'Trigger: Push events, Tag push events, Merge request events.',
  ],
  gitea: [
    'In the repository: Settings → Webhooks → Add webhook → Gitea (or Forgejo).',
    'Target URL: the address. HTTP method: POST. POST content type: application/json. Secret: the secret.',
    'Trigger on: Custom events: Push, Pull request, Pull request synchronized.',
  ],
  bitbucket: [
    'In the repository: Repository settings → Webhooks → Add webhook.',
    'URL: the address. Secret: the secret.',
    'Triggers: Repository push; Pull request created and updated.',
  ],
  'bitbucket-server': [
    'In the repository: Repository settings → Webhooks → Create webhook.',
    'URL: the address. Secret: the secret.',
    'Events: Repository push; Pull request opened and source branch updated.',
  ],
};

async function remove(context: Context, name: string): Promise<number> {
  const removed = await context
    .client()
    .call('webhooks.remove', { params: { name } }, { signal: context.signal });
  hint(context, 'remove it at the provider too: its deliveries are refused from now on');
  return answer(context, removed, () => `webhook ${removed.removed} is removed`);
}
