import type { Json } from '../asl/json.ts';
import { TaskFailed } from '../task.ts';

/** The largest result that a task may have, less what surrounds it. */
const LARGEST_BYTES = 250 * 1_024;

/** JSON where it is said to be, else text. More than a result may hold fails with `States.DataLimitExceeded`. */
export async function readAnswer(answer: Response): Promise<Json> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of answer.body ?? []) {
    size += piece.byteLength;
    if (size > LARGEST_BYTES) throw new TaskFailed('States.DataLimitExceeded', 'The answer is too large.');
    pieces.push(piece);
  }
  const text = Buffer.concat(pieces).toString('utf8');
  if (!/[/+]json\b/.test(answer.headers.get('content-type') ?? '')) return text;
  try {
    const value: Json = JSON.parse(text);
    return value;
  } catch {
    // It says that it is JSON and is not: the text is all there is to give.
    return text;
  }
}
