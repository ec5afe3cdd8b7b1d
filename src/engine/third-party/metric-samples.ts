// Reads the figures that we need out of an engine's Prometheus text (format 0.0.4). The text is untrusted: whatever line is
// not understood is passed over, and nothing grows with it but the figures that were asked for. Pure, linear.

export interface Samples {
  /** Over all series of the name; undefined when there is none. */
  sum(name: string): number | undefined;
  max(name: string): number | undefined;
}

interface Figure {
  sum: number;
  max: number;
}

/** `names` are whole sample names, with `_total` or `_count` where the format appends it. */
export function readSamples(text: string, names: readonly string[]): Samples {
  const wanted = new Set(names);
  const figures = new Map<string, Figure>();
  let start = 0;
  while (start < text.length) {
    const next = text.indexOf('\n', start);
    const end = next === -1 ? text.length : next;
    readLine(text, { start, end }, wanted, figures);
    start = end + 1;
  }
  return {
    sum: (name) => figures.get(name)?.sum,
    max: (name) => figures.get(name)?.max,
  };
}

function readLine(
  text: string,
  { start, end }: { start: number; end: number },
  wanted: ReadonlySet<string>,
  figures: Map<string, Figure>,
): void {
  let at = start;
  while (at < end && !' \t{'.includes(text[at] ?? '')) at += 1;
  const name = text.slice(start, at);
  if (!wanted.has(name)) return;
  if (text[at] === '{') at = endOfLabels(text, at, end);
  const value = parseValue(text.slice(at, end).trim().split(/[ \t]/, 1)[0] ?? '');
  if (value === undefined) return;
  const known = figures.get(name);
  figures.set(
    name,
    known === undefined ? { sum: value, max: value } : { sum: known.sum + value, max: Math.max(known.max, value) },
  );
}

/** The place after the closing brace. Label values may hold braces, and quotes behind a backslash. */
function endOfLabels(text: string, open: number, end: number): number {
  let isQuoted = false;
  for (let at = open + 1; at < end; at += 1) {
    const letter = text[at];
    if (isQuoted && letter === '\\') at += 1;
    else if (letter === '"') isQuoted = !isQuoted;
    else if (letter === '}' && !isQuoted) return at + 1;
  }
  return end;
}

function parseValue(word: string): number | undefined {
  if (!/^[+-]?[0-9]/.test(word) && !/^[+-]?\.[0-9]/.test(word)) return undefined;
  const value = Number(word);
  return Number.isFinite(value) ? value : undefined;
}
