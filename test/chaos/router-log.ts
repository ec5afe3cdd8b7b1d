// Follows the router's log file while it grows and is rotated, and keeps the line of every request of this run.
// Reads only; a line that is half written is read again.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

export interface RequestLine {
  readonly requestId: string;
  readonly outcome: string;
  readonly instance: string | null;
  readonly attempts: number;
}

export interface RouterLog {
  /** Reads what was added. Must be called often enough that the file is not rotated twice in between. */
  read(): void;
  /** By request id: every line that was written about it. */
  readonly lines: ReadonlyMap<string, readonly RequestLine[]>;
}

export function followRouterLog(path: string): RouterLog {
  const lines = new Map<string, RequestLine[]>();
  let inode = 0;
  let offset = 0;
  let rest = '';
  const take = (text: string) => {
    const whole = `${rest}${text}`.split('\n');
    rest = whole.pop() ?? '';
    for (const line of whole) {
      const found = parseLine(line);
      if (found !== undefined) lines.set(found.requestId, [...(lines.get(found.requestId) ?? []), found]);
    }
  };
  const readFrom = (file: number, from: number): number => {
    const size = fstatSync(file).size;
    const bytes = Buffer.alloc(Math.max(0, size - from));
    const count = readSync(file, bytes, 0, bytes.length, from);
    take(bytes.toString('utf8', 0, count));
    return from + count;
  };
  return {
    lines,
    read() {
      const file = openSync(path, 'r');
      try {
        const current = fstatSync(file).ino;
        if (inode !== 0 && current !== inode) {
          readRotated(`${path}.1`, (old) => readFrom(old, offset));
          offset = 0;
        }
        inode = current;
        offset = readFrom(file, offset);
      } finally {
        closeSync(file);
      }
    },
  };
}

function readRotated(path: string, read: (file: number) => void): void {
  const file = openSync(path, 'r');
  try {
    read(file);
  } finally {
    closeSync(file);
  }
}

function parseLine(line: string): RequestLine | undefined {
  if (!line.includes('"a request ended"')) return undefined;
  try {
    return JSON.parse(line) as RequestLine;
  } catch {
    return undefined;
  }
}
