// Reads an engine's server-sent events from bytes that may be cut anywhere, also inside a character or between CR and LF.
// Only `data` matters to us; other fields and comments are passed over. The engine is not trusted: every event is bounded.

/** What is wrong with the bytes, as a sentence. */
export class SseError extends Error {
  override readonly name = 'SseError';
}

const LF = 10;
const CR = 13;

export interface SseParser {
  /** The data of every event that these bytes complete. Throws SseError. */
  push(bytes: Uint8Array): string[];
}

/** Linear in the bytes: a line that comes in many pieces is put together once, at its end. */
export function createSseParser(eventBytesMax: number): SseParser {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let pieces: Uint8Array[] = [];
  let lineBytes = 0;
  let eventBytes = 0;
  let data: string[] = [];
  let skipsLf = false;

  const keep = (piece: Uint8Array) => {
    lineBytes += piece.length;
    if (eventBytes + lineBytes > eventBytesMax) throw new SseError(`An event has more than ${eventBytesMax} bytes.`);
    // A copy: the bytes belong to the socket's buffer.
    if (piece.length > 0) pieces.push(Buffer.from(piece));
  };
  const takeLine = (last: Uint8Array): string => {
    keep(last);
    const line = decode(pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces), decoder);
    pieces = [];
    eventBytes += lineBytes;
    lineBytes = 0;
    return line;
  };
  /** Returns the event's data when the line completes one. */
  const readLine = (line: string): string | undefined => {
    if (line !== '') {
      const value = dataOf(line);
      if (value !== undefined) data.push(value);
      return undefined;
    }
    const event = data.length > 0 ? data.join('\n') : undefined;
    data = [];
    eventBytes = 0;
    return event;
  };
  return {
    push(bytes) {
      const events: string[] = [];
      let start = 0;
      for (let at = 0; at < bytes.length; at += 1) {
        const byte = bytes[at];
        if (byte === LF && skipsLf) {
          skipsLf = false;
          start = at + 1;
          continue;
        }
        skipsLf = byte === CR;
        if (byte !== LF && byte !== CR) continue;
        const event = readLine(takeLine(bytes.subarray(start, at)));
        if (event !== undefined) events.push(event);
        start = at + 1;
      }
      keep(bytes.subarray(start));
      return events;
    },
  };
}

function decode(line: Uint8Array, decoder: InstanceType<typeof TextDecoder>): string {
  try {
    return decoder.decode(line);
  } catch {
    throw new SseError('An event is not valid UTF-8.');
  }
}

/** The value of a `data` field; undefined for every other field and for comments. */
function dataOf(line: string): string | undefined {
  if (line === 'data') return '';
  if (!line.startsWith('data:')) return undefined;
  return line.startsWith(' ', 5) ? line.slice(6) : line.slice(5);
}
