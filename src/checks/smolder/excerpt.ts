const LIMIT = 200;

/** The start of a text on one line, fit for a line of a report. */
export function excerpt(text: string): string {
  const line = text
    .slice(0, LIMIT * 2)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal must not obey what a server sent
    .replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ')
    .trim();
  return line.length > LIMIT || text.length > LIMIT * 2 ? `${line.slice(0, LIMIT)}…` : line;
}
