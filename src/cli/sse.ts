// Reads a server-sent event stream: comments and data, whatever the chunks are. Bounded by EVENT_CHARS_MAX.

export type SseItem = { readonly kind: 'comment' | 'data'; readonly text: string };

/** An event longer than this is refused: no answer has one. */
export const EVENT_CHARS_MAX = 1024 * 1024;

/** Yields comments and data in order. Throws when an event is too long. */
export async function* readSse(body: AsyncIterable<Uint8Array>): AsyncGenerator<SseItem> {
  const decoder = new TextDecoder();
  let pending = '';
  for await (const bytes of body) {
    pending += decoder.decode(bytes, { stream: true });
    const lines = pending.split('\n');
    pending = lines.pop() ?? '';
    if (pending.length > EVENT_CHARS_MAX) throw new Error('The server sent an event that is too long.');
    for (const line of lines) {
      const item = parseLine(line.endsWith('\r') ? line.slice(0, -1) : line);
      if (item !== undefined) yield item;
    }
  }
}

function parseLine(line: string): SseItem | undefined {
  if (line.startsWith(':')) return { kind: 'comment', text: line.slice(1).trim() };
  if (line.startsWith('data:')) return { kind: 'data', text: line.slice(5).trimStart() };
  return undefined;
}
