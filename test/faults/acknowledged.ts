/**
 * What a server has said is so, which no crash may make untrue: images, promotions, releases, deployments, tokens;
 * and the audit log beneath them, unbroken.
 */
import type { Kiln } from '../e2e/kiln.ts';

interface Move {
  readonly image: string;
  readonly previous?: string;
  readonly atMs: number;
}

export class AcknowledgedWork {
  private readonly images = new Set<string>();
  /** Release by deployment. */
  private readonly deployments = new Map<string, number>();
  private readonly secrets = new Map<string, string>();
  private readonly moves: Move[] = [];
  private auditedTo = 0;

  image(id: string): void {
    this.images.add(id);
  }

  deployment(id: string, release: number): void {
    this.deployments.set(id, release);
  }

  token(id: string, secret: string): void {
    this.secrets.set(id, secret);
  }

  /** Of the one channel that is used here. */
  promotion(move: Move): void {
    this.moves.push(move);
  }

  get promotions(): number {
    return this.moves.length;
  }

  async lost(kiln: Kiln, component: string, channel: string): Promise<readonly string[]> {
    const lost = await Promise.all([
      this.lostImages(kiln),
      this.lostDeployments(kiln, component),
      this.lostTokens(kiln),
      this.lostMoves(kiln, `${component}/${channel}`),
      this.brokenAudit(kiln),
    ]);
    return lost.flat();
  }

  private async lostImages(kiln: Kiln): Promise<readonly string[]> {
    const there = new Set((await all<{ id: string }>(kiln, '/images?')).map(({ id }) => id));
    return [...this.images].filter((id) => !there.has(id)).map((id) => `image ${id}`);
  }

  private async lostDeployments(kiln: Kiln, component: string): Promise<readonly string[]> {
    const query = `component=${component}&`;
    const deployments = await all<{ id: string; to: number }>(kiln, `/deployments?${query}`);
    const releases = await all<{ number: number }>(kiln, `/releases?${query}`);
    const releaseOf = new Map(deployments.map(({ id, to }) => [id, to]));
    const numbers = new Set(releases.map(({ number }) => number));
    return [...this.deployments].flatMap(([id, release]) => [
      ...(releaseOf.get(id) === release ? [] : [`deployment ${id} to ${release} is to ${releaseOf.get(id)}`]),
      ...(numbers.has(release) ? [] : [`release ${release}`]),
    ]);
  }

  private async lostTokens(kiln: Kiln): Promise<readonly string[]> {
    const server = await kiln.serverFile();
    const looks = [...this.secrets].map(async ([id, secret]) => {
      const headers = { authorization: `Bearer ${secret}` };
      const answer = await fetch(`${server?.url}/api/v1/images?limit=1`, { headers });
      return answer.status === 200 ? [] : [`token ${id} is answered with ${answer.status}`];
    });
    return (await Promise.all(looks)).flat();
  }

  /** Each acknowledged move is in the history, in its order, and each move there goes on from the one before it. */
  private async lostMoves(kiln: Kiln, place: string): Promise<readonly string[]> {
    const history = (await read<{ items: readonly Move[] }>(kiln, `/channels/${place}`)).items.toReversed();
    const wrong: string[] = [];
    let from = 0;
    for (const { image, atMs } of this.moves) {
      const at = history.findIndex((one, index) => index >= from && one.image === image && one.atMs === atMs);
      if (at < 0) wrong.push(`the move of ${place} to ${image} is not in its history`);
      else from = at + 1;
    }
    for (const [index, { previous }] of history.entries()) {
      if (previous !== history[index - 1]?.image) wrong.push(`${place} did not hold ${previous} before`);
    }
    return wrong;
  }

  private async brokenAudit(kiln: Kiln): Promise<readonly string[]> {
    const verdict = await read<{ whole: boolean; firstBroken?: number }>(kiln, '/audit/verify');
    const newest = (await read<{ items: { revision: number }[] }>(kiln, '/audit?limit=1')).items[0]?.revision;
    const before = this.auditedTo;
    this.auditedTo = newest ?? 0;
    return [
      ...(verdict.whole ? [] : [`the audit log is broken at ${verdict.firstBroken}`]),
      ...(this.auditedTo < before ? [`the audit log ended at ${before}, and ends at ${newest}`] : []),
    ];
  }
}

/** Every page of a list. */
async function all<Item>(kiln: Kiln, route: string): Promise<readonly Item[]> {
  const items: Item[] = [];
  let cursor = '';
  do {
    const page = await read<{ items: readonly Item[]; cursor?: string }>(kiln, `${route}limit=100${cursor}`);
    items.push(...page.items);
    cursor = page.cursor === undefined ? '' : `&cursor=${encodeURIComponent(page.cursor)}`;
  } while (cursor !== '');
  return items;
}

async function read<Body>(kiln: Kiln, route: string): Promise<Body> {
  const answer = await kiln.call('GET', `/api/v1${route}`);
  if (answer.status !== 200) throw new Error(`${route} is answered with ${answer.status}`);
  return (await answer.json()) as Body;
}
