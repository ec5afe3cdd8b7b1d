// Splits a stream of bytes into lines, whatever the chunks are: a line may come in a thousand pieces, and a character
// may be cut in two. Bounded: it never keeps more than one line's maximum.

export interface LineSplitter {
  /** The lines that this chunk completes, without their newline; undefined when one is longer than the bound. */
  push(chunk: Uint8Array): string[] | undefined;
}

const NEWLINE = 10;

export function createLineSplitter(bytesMax: number): LineSplitter {
  let pieces: Uint8Array[] = [];
  let keptBytes = 0;
  return {
    push(chunk) {
      const lines: string[] = [];
      let start = 0;
      for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
        if (keptBytes + end - start > bytesMax) return undefined;
        lines.push(Buffer.concat([...pieces, chunk.subarray(start, end)]).toString('utf8'));
        pieces = [];
        keptBytes = 0;
        start = end + 1;
      }
      keptBytes += chunk.length - start;
      if (keptBytes > bytesMax) return undefined;
      if (start < chunk.length) pieces.push(chunk.subarray(start));
      return lines;
    },
  };
}
