/** Items of a distributed Map out of a file's text, as its ReaderConfig says. */
import { StateFailure } from './failure.ts';
import { isArray, isObject, type Json, type JsonObject, ownValue } from './json.ts';

const DELIMITERS: Readonly<Record<string, string>> = {
  COMMA: ',',
  PIPE: '|',
  SEMICOLON: ';',
  SPACE: ' ',
  TAB: '\t',
};

/** What AWS takes of a header. */
const LONGEST_HEADER_BYTES = 10 * 1_024;

/** Throws StateFailure (`States.ItemReaderFailed`). */
export function parseItems(content: string, config: JsonObject): readonly Json[] {
  switch (config.InputType) {
    case 'CSV':
      return csvItems(content, config);
    case 'JSONL':
      return content
        .split('\n')
        .filter((line) => line.trim() !== '')
        .map((line) => parseJson(line));
    case 'PARQUET':
      throw readerFailure('A Parquet file is no text.');
    default:
      return jsonItems(content, config);
  }
}

function jsonItems(content: string, config: JsonObject): readonly Json[] {
  const items = pointed(parseJson(content), config.ItemsPointer);
  if (isArray(items)) return items;
  throw readerFailure('Attempting to map over non-iterable node.');
}

/** `/a/b`: a JSON Pointer to the list inside the file. */
function pointed(value: Json, pointer: Json | undefined): Json {
  if (typeof pointer !== 'string') return value;
  const keys = pointer.split('/').slice(1);
  return keys.reduce<Json>((inner, key) => {
    const name = key.replaceAll('~1', '/').replaceAll('~0', '~');
    if (isArray(inner)) return /^\d+$/.test(name) ? (inner[Number(name)] ?? null) : null;
    return isObject(inner) ? (ownValue(inner, name) ?? null) : null;
  }, value);
}

function parseJson(text: string): Json {
  try {
    const value: Json = JSON.parse(text);
    return value;
  } catch {
    throw readerFailure('Attempting to map over a file that is not valid JSON.');
  }
}

function csvItems(content: string, config: JsonObject): readonly Json[] {
  const delimiter = DELIMITERS[String(config.CSVDelimiter ?? 'COMMA')] ?? ',';
  const rows = csvRows(content, delimiter);
  const given = isArray(config.CSVHeaders) ? config.CSVHeaders.map(String) : undefined;
  const headers = config.CSVHeaderLocation === 'GIVEN' ? (given ?? []) : (rows.shift() ?? []);
  if (Buffer.byteLength(headers.join(delimiter)) > LONGEST_HEADER_BYTES)
    throw readerFailure(`CSV headers cannot be longer than ${LONGEST_HEADER_BYTES} bytes.`);
  if (new Set(headers).size !== headers.length) throw readerFailure('CSV headers cannot contain duplicates.');
  return rows.map((row) => Object.fromEntries(headers.map((header, at) => [header, row[at] ?? ''])));
}

/** RFC 4180: fields in double quotes may hold delimiters, line ends and doubled quotes. */
function csvRows(content: string, delimiter: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let field = '';
  let quoted = false;
  for (let at = 0; at < content.length; at += 1) {
    const character = content[at] ?? '';
    if (quoted) {
      if (character !== '"') field += character;
      else if (content[at + 1] === '"') {
        field += '"';
        at += 1;
      } else quoted = false;
    } else if (character === '"' && field === '') quoted = true;
    else if (character === delimiter) {
      row.push(field);
      field = '';
    } else if (character === '\n') {
      rows.push([...row, field]);
      row = [];
      field = '';
    } else if (character !== '\r') field += character;
  }
  if (field !== '' || row.length > 0) rows.push([...row, field]);
  return rows.filter((cells) => cells.length > 1 || cells[0] !== '');
}

export function readerFailure(cause: string): StateFailure {
  return new StateFailure({ error: 'States.ItemReaderFailed', cause }, false);
}
