// Reads the agent's canonical frames (src/api/data-path.ts) from bytes that may be cut anywhere. Checks the order and the
// form of each frame and hands on its bytes as they came, without looking into the JSON.
import { FRAME_BYTES_MAX, type FrameKind, frameKinds } from '../../api/data-path.ts';

export interface CanonicalFrame {
  readonly kind: FrameKind;
  /** From `data:` to the empty line: what a caller gets. */
  readonly bytes: Buffer;
}

/** What is wrong with the frames, as a sentence. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

export interface FrameReader {
  /** The frames that these bytes complete. Throws FrameError. */
  push(bytes: Uint8Array): CanonicalFrame[];
}

const LF = 10;
/** The comment line before the data. */
const OPENING_BYTES_MAX = 64;
const DATA = 'data: ';
const kinds: ReadonlySet<string> = new Set(frameKinds);

/** Linear in the bytes: a frame that comes in many pieces is put together once. */
export function createFrameReader(): FrameReader {
  let pieces: Buffer[] = [];
  let pendingBytes = 0;
  let number = 0;
  const keep = (bytes: Buffer) => {
    pendingBytes += bytes.length;
    if (pendingBytes > FRAME_BYTES_MAX + OPENING_BYTES_MAX) {
      throw new FrameError(`A frame has more than ${FRAME_BYTES_MAX} bytes.`);
    }
    // A copy: the bytes belong to the socket's buffer.
    if (bytes.length > 0) pieces.push(Buffer.from(bytes));
  };
  const complete = (last: Buffer): CanonicalFrame => {
    keep(last);
    const whole = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
    pieces = [];
    pendingBytes = 0;
    number += 1;
    return readFrame(whole, number);
  };
  return {
    push(given) {
      const bytes = Buffer.from(given.buffer, given.byteOffset, given.byteLength);
      const frames: CanonicalFrame[] = [];
      let start = 0;
      if (pieces.at(-1)?.at(-1) === LF && bytes[0] === LF) {
        frames.push(complete(bytes.subarray(0, 1)));
        start = 1;
      }
      for (let end = bytes.indexOf('\n\n', start); end >= 0; end = bytes.indexOf('\n\n', start)) {
        frames.push(complete(bytes.subarray(start, end + 2)));
        start = end + 2;
      }
      keep(bytes.subarray(start));
      return frames;
    },
  };
}

function readFrame(whole: Buffer, number: number): CanonicalFrame {
  const lineEnd = whole.indexOf(LF);
  const opening = /^: ([0-9]{1,9}) ([a-z]+)$/.exec(whole.toString('latin1', 0, Math.min(lineEnd, OPENING_BYTES_MAX)));
  const kind = opening?.[2] ?? '';
  if (opening === null || !isKind(kind)) throw new FrameError('A frame does not open with its number and kind.');
  if (Number(opening[1]) !== number) throw new FrameError(`Frame ${opening[1]} came where ${number} was expected.`);
  const bytes = whole.subarray(lineEnd + 1);
  if (bytes.toString('latin1', 0, DATA.length) !== DATA || bytes.indexOf(LF) !== bytes.length - 2) {
    throw new FrameError(`Frame ${number} is not one line of data.`);
  }
  return { kind, bytes };
}

function isKind(text: string): text is FrameKind {
  return kinds.has(text);
}

/** The JSON text of a frame. */
export function frameData(frame: CanonicalFrame): string {
  return frame.bytes.toString('utf8', DATA.length, frame.bytes.length - 2);
}
