/** What somebody asks for in a chat, in words: `start shop at v1.2.0 colour=green`. Pure. */
import { KilnError } from '../../domain/errors.ts';

export type ChatWish =
  | { readonly kind: 'help' }
  | { readonly kind: 'list' }
  | {
      readonly kind: 'start';
      /** A watched pipeline, by its component or its source's id. */
      readonly pipeline: string;
      /** Branch, tag or commit. */
      readonly at?: string;
      readonly parameters: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'why' | 'cancel'; readonly execution: string }
  | { readonly kind: 'approve' | 'reject'; readonly execution: string; readonly why: string };

export const CHAT_HELP = [
  'start PIPELINE [at REF] [NAME=VALUE …]: start a pipeline that Kiln watches',
  'list: what runs, or waits for somebody',
  'why EXECUTION: what it waits for',
  'approve EXECUTION [WHY]; reject EXECUTION WHY: answer it',
  'cancel EXECUTION: end it',
].join('\n');

/** Plain words, and such with spaces in either kind of quotes; chats make typographic ones of them. */
const WORD = /(?:[^\s"“”'‘’]|"[^"]*"|“[^”]*”|'[^']*'|‘[^’]*’)+/gu;
const QUOTES = /["“”'‘’]/gu;

/** Fails with `input.invalid`, saying what is possible. */
export function chatWish(text: string): ChatWish {
  const [verb = 'help', ...words] = (text.match(WORD) ?? []).map((word) => word.replace(QUOTES, ''));
  switch (verb.toLowerCase()) {
    case 'help':
      return { kind: 'help' };
    case 'list':
      return { kind: 'list' };
    case 'start':
      return startWish(words);
    case 'why':
    case 'cancel':
      return { kind: verb.toLowerCase() === 'why' ? 'why' : 'cancel', execution: executionIn(verb, words) };
    case 'approve':
      return { kind: 'approve', execution: executionIn(verb, words), why: words.slice(1).join(' ') };
    case 'reject': {
      const why = words.slice(1).join(' ');
      if (why === '') throw misunderstood('A rejection says why.', 'reject EXECUTION WHY');
      return { kind: 'reject', execution: executionIn(verb, words), why };
    }
    default:
      throw misunderstood(`"${verb}" is nothing that Kiln does.`, CHAT_HELP);
  }
}

function startWish([pipeline, ...more]: readonly string[]): ChatWish {
  const usage = 'start PIPELINE [at REF] [NAME=VALUE …]';
  if (pipeline === undefined) throw misunderstood('Which pipeline?', usage);
  const [at, pairs] = more[0] === 'at' ? [more[1], more.slice(2)] : [undefined, more];
  if (more[0] === 'at' && at === undefined) throw misunderstood('At which branch, tag or commit?', usage);
  const parameters = pairs.map((pair) => {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(pair) ?? [];
    if (name === undefined || value === undefined) throw misunderstood(`"${pair}" is not NAME=VALUE.`, usage);
    return [name, value] as const;
  });
  return {
    kind: 'start',
    pipeline,
    ...(at !== undefined && { at }),
    parameters: Object.fromEntries(parameters),
  };
}

function executionIn(verb: string, [execution]: readonly string[]): string {
  if (execution !== undefined) return execution;
  throw misunderstood('Which execution?', `${verb} EXECUTION; list names those that are open`);
}

function misunderstood(what: string, next: string): KilnError {
  return new KilnError('input.invalid', what, { next });
}
