/** The texts by which a secret would be known in a log: itself, and what programs commonly make of it. */

/** Shorter derived texts would hide what is no secret. */
const SHORTEST_DERIVED = 6;

/** Each as the bytes that a log would hold, without doubles. What is blank is no secret. */
export function formsOf(secrets: readonly string[]): readonly Buffer[] {
  const forms = new Map<string, Buffer>();
  for (const secret of secrets) {
    if (secret.trim() === '') continue;
    const plain = [secret, secret.trim()];
    const derived = [...derivedOf(secret), ...derivedOf(secret.trim())];
    for (const text of [...plain, ...derived.filter(({ length }) => length >= SHORTEST_DERIVED)])
      forms.set(text, Buffer.from(text));
  }
  return [...forms.values()];
}

function derivedOf(secret: string): readonly string[] {
  const hex = Buffer.from(secret).toString('hex');
  const percent = percentEncoded(secret);
  return [
    ...linesOf(secret),
    ...base64Of(secret),
    percent,
    percent.replaceAll('%20', '+'),
    percent.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    JSON.stringify(secret).slice(1, -1),
    secret.replaceAll("'", "'\\''"),
    hex,
    hex.toUpperCase(),
  ];
}

/** A secret of several lines is also known by each of them: programs indent them, or end them in their own way. */
function linesOf(secret: string): readonly string[] {
  const lines = secret.split(/\r?\n/).map((line) => line.trim());
  return lines.length === 1 ? [] : [...lines, lines.join('\r\n'), lines.join('\\n')];
}

/** What is the same wherever the secret stands in the encoded text: whole groups of 6 bits that are only its own. */
function base64Of(secret: string): readonly string[] {
  return [0, 1, 2].flatMap((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(secret)]);
    const [from, to] = [Math.ceil((before * 8) / 6), Math.floor((bytes.length * 8) / 6)];
    return [bytes.toString('base64').slice(from, to), bytes.toString('base64url').slice(from, to)];
  });
}

function percentEncoded(secret: string): string {
  // Lone halves of a surrogate pair cannot be encoded: they are what a replacement character is made of.
  return encodeURIComponent(Buffer.from(secret).toString()).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
