// Reads a server-sent event stream in the browser: comments and data in order, however the bytes are cut.
// Bounded: a line longer than LINE_CHARS_MAX ends the reading with an error.

export const LINE_CHARS_MAX = 1024 * 1024;

/** Takes bytes with push() and gives the items that became complete: `{ kind: 'comment' | 'data', text }`. */
export function createSseReader() {
  const decoder = new TextDecoder();
  let pending = '';
  return {
    push(bytes) {
      const lines = (pending + decoder.decode(bytes, { stream: true })).split('\n');
      pending = lines.pop() ?? '';
      if (pending.length > LINE_CHARS_MAX) throw new Error('The server sent a line that is too long.');
      return lines.map(parseLine).filter((item) => item !== undefined);
    },
  };
}

function parseLine(line) {
  const text = line.endsWith('\r') ? line.slice(0, -1) : line;
  if (text.startsWith(':')) return { kind: 'comment', text: text.slice(1).trim() };
  if (text.startsWith('data:')) return { kind: 'data', text: text.slice(5).trimStart() };
  return undefined;
}
