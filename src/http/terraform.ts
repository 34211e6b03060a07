import { fittingFirst, parseImageQuery } from '../catalog/query-language.ts';
import { terraformState } from '../catalog/terraform-state.ts';
import { KilnError } from '../domain/errors.ts';
import type { Operations } from './operations.ts';
import type { HttpParts } from './parts.ts';

const BASIC = /^Basic ([A-Za-z0-9+/]{1,400}={0,2})$/i;

/** Terraform's http backend knows user and password only: the password is the token, whatever the user is called. */
export function passwordAsBearer(header: string | undefined): string | undefined {
  const [, encoded] = BASIC.exec(header ?? '') ?? [];
  if (encoded === undefined) return header;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  return `Bearer ${text.slice(text.indexOf(':') + 1)}`;
}

export function serveTerraform(operations: Operations, { store }: HttpParts): void {
  operations.json('terraform.state', async ({ query }) => {
    const asked = parseImageQuery(query.query);
    const { items } = await store.catalogue.search(asked, { limit: 1 });
    const [image] = items;
    // 404 is what the backend takes for "no state", and Terraform then fails, as it should.
    if (image === undefined) {
      throw new KilnError('not-found', `No image fits "${query.query}".`, {
        next: 'Ask for less, or bake and promote one.',
      });
    }
    if (image.revoked !== undefined) {
      const name = `${image.component}@${image.version}`;
      throw new KilnError(
        'image.unfit',
        `${name}, which fits "${query.query}", was revoked: ${image.revoked.why}`,
        {
          next: 'Promote another image, or ask for revoked=false.',
        },
      );
    }
    return terraformState(fittingFirst(image, asked), await store.events.revision());
  });
}
