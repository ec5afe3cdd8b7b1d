// The output of one container, in two files at most: the current one and the one before (`<path>.1`). A full disk loses
// lines and never ends the container or the node.
import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';
import { Writable } from 'node:stream';
import { LOG_BYTES_MAX } from './bounds.ts';

/** Appends (mode 0600). Writes are short and go to the page cache, so they are made at once; the pipe holds back the writer. */
export function openRotatingLog(path: string, bytesMax = LOG_BYTES_MAX): Writable {
  let file = openSync(path, 'a', 0o600);
  let sizeBytes = fstatSync(file).size;
  const rotate = () => {
    closeSync(file);
    renameSync(path, `${path}.1`);
    file = openSync(path, 'a', 0o600);
    sizeBytes = 0;
  };
  return new Writable({
    write(bytes: Buffer, _encoding, done) {
      try {
        if (sizeBytes > 0 && sizeBytes + bytes.length > bytesMax) rotate();
        sizeBytes += writeSync(file, bytes);
      } catch {
        // The disk is full or the folder is gone: these lines are lost.
      }
      done();
    },
    final(done) {
      try {
        closeSync(file);
      } catch {
        // Rotation failed half-way; there is nothing left to close.
      }
      done();
    },
  });
}
