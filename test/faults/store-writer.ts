/**
 * A process that writes events until it is killed, and says on stdout which were acknowledged:
 * one line `n` after each. Arguments: the store's settings as JSON, and its name.
 */
import { writeSync } from 'node:fs';
import { open } from '../contracts/store-subjects.ts';

const [settings = '', name = ''] = process.argv.slice(2);
const store = await open(JSON.parse(settings));
for (let n = 0; ; n += 1) {
  await store.events.append('written', name, { n }, { actor: name, atMs: Date.now() });
  writeSync(1, `${n}\n`);
}
