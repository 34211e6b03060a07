/**
 * A baker whose server dies with it when it is told to: the real one, with its changes to files and starts of processes
 * counted. It is armed by a file beside the bundle, which it looks at whenever it passes a point: after a
 * bake has been answered there are more of them.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import '../../src/bakery/bundle/baker-main.ts';
import {
  type Arming,
  BAKER_ARMING_FILE,
  BAKER_POINTS_FILE,
  countFileChanges,
  Points,
} from './crash-points.ts';

const directory = path.dirname(import.meta.dirname);
let armed = '';
const points = new Points(path.join(directory, BAKER_POINTS_FILE), [process.ppid, process.pid], armOrDisarm);
countFileChanges(path.join(directory, 'state'), points, 'baker');

function armOrDisarm(): void {
  const wanted = armingText();
  if (wanted === armed) return;
  armed = wanted;
  if (armed === '') points.disarm();
  else points.arm(JSON.parse(armed) as Arming);
}

function armingText(): string {
  try {
    return readFileSync(path.join(directory, BAKER_ARMING_FILE), 'utf8');
  } catch {
    return ''; // Not armed.
  }
}
