import { Kiln } from '../test/e2e/kiln.ts';
import { say } from './result.ts';

/** Gives the work a Kiln of its own and ends it afterwards. What failed first is what is thrown: ending it may fail too. */
export async function withKiln(work: (kiln: Kiln) => Promise<void>): Promise<void> {
  const kiln = await Kiln.create();
  try {
    await work(kiln);
  } catch (error) {
    await kiln.destroy().catch((second: unknown) => say(`and then it could not be ended: ${second}`));
    throw error;
  }
  await kiln.destroy();
}
