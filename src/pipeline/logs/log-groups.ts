/** Where the output of each command of a task begins. */
import { z } from 'zod';
import { logFiles, openIfThere, readFrom, readShape } from './log-folder.ts';

export interface LogGroup {
  readonly title: string;
  /** Its first, counted from 1. */
  readonly line: number;
  readonly atMs: number;
}

const groupShape = z.object({ title: z.string(), line: z.number(), atMs: z.number() });

export function groupsOf(text: string): readonly LogGroup[] {
  // A line may be torn.
  return text.split('\n').flatMap((line) => readShape(groupShape, line) ?? []);
}

/** Groups in their order, each once. One is written before its lines are: whoever has these finds it. */
export class GroupReader {
  readonly #file: string;
  #readBytes = 0;
  #from: number;
  #known: readonly LogGroup[] = [];

  constructor(folder: string, fromLine: number) {
    this.#file = logFiles.groups(folder);
    this.#from = fromLine;
  }

  /** Those that begin before this line and were not given yet. */
  async upTo(line: number): Promise<readonly LogGroup[]> {
    const text = await this.#more();
    const known = [...this.#known, ...groupsOf(text)].filter((group) => group.line >= this.#from);
    this.#known = known.filter((group) => group.line >= line);
    this.#from = line;
    return known.filter((group) => group.line < line);
  }

  async #more(): Promise<string> {
    const file = await openIfThere(this.#file);
    if (file === undefined) return '';
    try {
      const { size } = await file.stat();
      const bytes = await readFrom(file, this.#readBytes, size - this.#readBytes);
      const whole = bytes.subarray(0, bytes.lastIndexOf(10) + 1);
      this.#readBytes += whole.length;
      return whole.toString();
    } finally {
      await file.close();
    }
  }
}
