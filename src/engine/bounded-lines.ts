// Cuts a byte stream into lines of bounded length, and keeps the tail of another. For what child processes print.

/** The longest line of a child's standard output; a longer one is dropped whole. */
const LINE_BYTES_MAX = 64 * 1024;

/** Returns a function that takes bytes and calls `onLine` for every complete line, without its end. */
export function createLineReader(onLine: (line: string) => void): (bytes: Buffer) => void {
  let parts: Buffer[] = [];
  let lengthBytes = 0;
  const keep = (bytes: Buffer) => {
    lengthBytes += bytes.length;
    if (lengthBytes <= LINE_BYTES_MAX) parts.push(bytes);
    else parts = [];
  };
  const finish = () => {
    if (lengthBytes <= LINE_BYTES_MAX) onLine(Buffer.concat(parts).toString('utf8'));
    parts = [];
    lengthBytes = 0;
  };
  return (bytes) => {
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      keep(bytes.subarray(start, end));
      finish();
      start = end + 1;
    }
    keep(bytes.subarray(start));
  };
}

export interface Tail {
  push(bytes: Buffer): void;
  text(): string;
}

/** Keeps the last `bytesMax` bytes. */
export function createTail(bytesMax: number): Tail {
  let kept = Buffer.alloc(0);
  return {
    push(bytes) {
      const both = Buffer.concat([kept, bytes.subarray(-bytesMax)]);
      kept = Buffer.from(both.subarray(-bytesMax));
    },
    text: () => kept.toString('utf8').trim(),
  };
}
