// A log file that never grows past two files of LOG_FILE_BYTES_MAX: the current one and the one before (`.1`).
import { createWriteStream, existsSync, renameSync, statSync, type WriteStream } from 'node:fs';

export interface RotatingFile {
  write(bytes: Buffer | string): void;
  close(): Promise<void>;
}

/** Size at which a file becomes `<path>.1`. */
export const LOG_FILE_BYTES_MAX = 4 * 1024 * 1024;
/** Bytes that may wait for the disk; beyond it lines are dropped rather than kept in memory. */
const PENDING_BYTES_MAX = 1024 * 1024;

/** Opens for appending (mode 0600). Write errors (a full disk) drop lines; they never end the process. */
export function openRotatingFile(path: string): RotatingFile {
  let sizeBytes = existsSync(path) ? statSync(path).size : 0;
  let stream = open(path);
  const rotate = () => {
    stream.end();
    renameSync(path, `${path}.1`);
    stream = open(path);
    sizeBytes = 0;
  };
  return {
    write(bytes) {
      if (stream.writableLength > PENDING_BYTES_MAX) return;
      if (sizeBytes > LOG_FILE_BYTES_MAX) rotate();
      sizeBytes += bytes.length;
      stream.write(bytes);
    },
    close: () => new Promise((resolve) => stream.end(() => resolve())),
  };
}

function open(path: string): WriteStream {
  const stream = createWriteStream(path, { flags: 'a', mode: 0o600 });
  stream.on('error', () => {});
  return stream;
}
