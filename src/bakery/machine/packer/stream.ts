/**
 * Reads what `packer build -machine-readable` writes: lines of `timestamp,build,type,data…`, in which a comma
 * within a field is written `%!(PACKER_COMMA)`, and line ends `\n` and `\r` as letters. Pure; fed in any pieces.
 */

/** Something that Packer says to people. */
interface Said {
  readonly kind: 'said';
  /** The build that says it; undefined: Packer itself. */
  readonly build?: string;
  readonly text: string;
  /** Unix time in seconds; undefined for what is not Packer's own. */
  readonly atS?: number;
  readonly level: 'heading' | 'detail' | 'error';
}

/** A build that made nothing, with what was wrong. */
interface BuildError {
  readonly kind: 'error';
  readonly build: string;
  readonly text: string;
}

/** What one build made, as its builder or last post-processor reports it. */
export interface ReportedArtifact {
  readonly kind: 'artifact';
  readonly build: string;
  readonly builderId: string;
  readonly id: string;
  readonly description: string;
  readonly files: readonly string[];
}

export type PackerEvent = Said | BuildError | ReportedArtifact;

interface OpenArtifact {
  builderId: string;
  id: string;
  description: string;
  files: string[];
}

const COMMA = '%!(PACKER_COMMA)';

export class PackerStream {
  #rest = '';
  readonly #open = new Map<string, OpenArtifact>();

  push(piece: string): PackerEvent[] {
    const lines = (this.#rest + piece).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.flatMap((line) => this.#line(line));
  }

  /** The last line may lack its end. An artifact that was not reported whole is none. */
  end(): PackerEvent[] {
    const last = this.#rest;
    this.#rest = '';
    return last === '' ? [] : this.#line(last);
  }

  #line(line: string): PackerEvent[] {
    const [timestamp = '', build = '', type, ...data] = line.replace(/\r$/, '').split(',').map(unescaped);
    if (!/^\d+$/.test(timestamp) || type === undefined) {
      // Not Packer's: something below it wrote to the same output.
      return line === '' ? [] : [{ kind: 'said', text: line, level: 'detail' }];
    }
    if (type === 'ui') return [said(Number(timestamp), data)];
    if (type === 'error' && build !== '') return [{ kind: 'error', build, text: data.join(',').trim() }];
    return type === 'artifact' ? this.#artifact(build, data) : [];
  }

  #artifact(build: string, [index = '', field, ...values]: readonly string[]): PackerEvent[] {
    const key = `${build},${index}`;
    const open = this.#open.get(key) ?? { builderId: '', id: '', description: '', files: [] };
    this.#open.set(key, open);
    const [first = '', second] = values;
    if (field === 'builder-id') open.builderId = first;
    if (field === 'id') open.id = first;
    if (field === 'string') open.description = first.trim();
    if (field === 'file' && second !== undefined) open.files.push(second);
    if (field !== 'end') return [];
    this.#open.delete(key);
    return [{ kind: 'artifact', build, ...open }];
  }
}

/** `==> name: text` opens something, four blanks before it go on with it. */
function said(atS: number, [level, message = '']: readonly string[]): Said {
  const match = /^\s*(?:==>|-->)?\s*(?:(?<build>[^\s:]+): )?(?<text>[\s\S]*)$/.exec(message);
  const { build, text = message } = match?.groups ?? {};
  return {
    kind: 'said',
    ...(build === undefined ? {} : { build }),
    text: text.trim(),
    atS,
    level: level === 'error' ? 'error' : level === 'say' ? 'heading' : 'detail',
  };
}

function unescaped(field: string): string {
  return field.replaceAll('\\n', '\n').replaceAll('\\r', '\r').replaceAll(COMMA, ',');
}
