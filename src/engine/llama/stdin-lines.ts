// The process's standard input: one line of configuration, then nothing but its end, which means that the parent is gone.
// Must never keep more than one bounded line.
import type { Readable } from 'node:stream';

const LINE_FEED = 0x0a;

export interface ParentPipe {
  /** The first line. Rejects with a sentence when it is too long or the pipe ends before it. */
  readonly firstLine: Promise<string>;
  /** Resolves when the pipe has ended. */
  readonly ended: Promise<void>;
}

export function readParentPipe(input: Readable, lineBytesMax: number): ParentPipe {
  const ended = new Promise<void>((resolve) => {
    for (const event of ['end', 'close', 'error']) input.once(event, () => resolve());
  });
  const firstLine = new Promise<string>((resolve, reject) => {
    let held = Buffer.alloc(0);
    const onChunk = (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      const at = held.indexOf(LINE_FEED);
      if (at < 0 && held.length <= lineBytesMax) return;
      input.off('data', onChunk);
      // Without a reader the pipe would stand still and its end would never be seen.
      input.resume();
      if (at >= 0) resolve(held.toString('utf8', 0, at));
      else reject(new Error(`The configuration line is longer than ${lineBytesMax} bytes.`));
    };
    input.on('data', onChunk);
    void ended.then(() => reject(new Error('Standard input ended before the configuration line.')));
  });
  return { firstLine, ended };
}
