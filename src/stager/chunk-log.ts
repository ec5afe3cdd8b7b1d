// What of one file has arrived, on disk: a line for every chunk whose bytes were flushed before. So a download goes on after
// the process was killed, and never counts a byte that is not there. A line that was cut is no line.
import { appendFile, readFile } from 'node:fs/promises';

export const CHUNK_BYTES = 16 * 1024 * 1024;

export interface Chunk {
  readonly index: number;
  /** Offsets in the file, `end` exclusive. */
  readonly begin: number;
  readonly end: number;
}

export function listChunks(sizeBytes: number, chunkBytes: number = CHUNK_BYTES): Chunk[] {
  const count = Math.ceil(sizeBytes / chunkBytes);
  return Array.from({ length: count }, (_, index) => ({
    index,
    begin: index * chunkBytes,
    end: Math.min(sizeBytes, (index + 1) * chunkBytes),
  }));
}

/** Chunks that have arrived. The log names what it is about, so that a log of something else counts for nothing. */
export async function readChunkLog(path: string, about: string): Promise<ReadonlySet<number>> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const [head, ...lines] = text.split('\n').slice(0, -1);
  if (head !== about) return new Set();
  return new Set(lines.filter((line) => /^[0-9]{1,7}$/.test(line)).map(Number));
}

export function appendChunk(path: string, index: number): Promise<void> {
  return appendFile(path, `${index}\n`, { mode: 0o600 });
}
