// Passes the frames of one attempt on to the caller's stream. What comes before the first content waits for it, so that
// an attempt that fails early leaves no trace; usage that nobody asked for is kept back. Bytes are never parsed, but for
// usage and errors.
import type { AnswerStream, Usage } from '../answer-sink.ts';
import { type CanonicalFrame, FrameError, frameData } from '../upstream/frames.ts';
import { type EngineError, readError, readUsage } from '../upstream/usage.ts';

export interface RelayOptions {
  readonly stream: Pick<AnswerStream, 'send'>;
  readonly includeUsage: boolean;
  readonly preludeBytesMax: number;
  /** What became known only after the head: a JSON object for the first content chunk, or undefined. */
  note(): string | undefined;
  onFirstContent(): void;
  onUsage(usage: Usage): void;
}

export interface Relay {
  /** Throws FrameError. */
  take(frames: readonly CanonicalFrame[]): void;
  state(): 'open' | 'whole' | 'failed';
  /** The error that the agent ended the stream with. */
  error(): EngineError | undefined;
}

export function createRelay(options: RelayOptions): Relay {
  return new FrameRelay(options);
}

class FrameRelay implements Relay {
  readonly #options: RelayOptions;
  #prelude: Buffer[] = [];
  #preludeBytes = 0;
  #out: Buffer[] = [];
  #hasContent = false;
  #state: ReturnType<Relay['state']> = 'open';
  #error: EngineError | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  state(): ReturnType<Relay['state']> {
    return this.#state;
  }

  error(): EngineError | undefined {
    return this.#error;
  }

  take(frames: readonly CanonicalFrame[]): void {
    for (const frame of frames) {
      if (this.#state !== 'open') throw new FrameError('A frame came after the last one.');
      this.#takeOne(frame);
    }
    if (this.#out.length === 0) return;
    const events = this.#out;
    this.#out = [];
    this.#options.stream.send(events, true);
  }

  #takeOne(frame: CanonicalFrame): void {
    switch (frame.kind) {
      case 'role':
      case 'other':
        if (this.#hasContent) this.#out.push(frame.bytes);
        else this.#hold(frame.bytes);
        return;
      case 'content':
      case 'finish':
        this.#commit(frame.bytes);
        return;
      case 'usage':
        this.#takeUsage(frame);
        return;
      case 'error':
        this.#state = 'failed';
        this.#error = readError(frameData(frame)) ?? { code: '', message: 'It gave no reason.' };
        return;
      case 'done':
        if (!this.#hasContent) throw new FrameError('The stream ended before it began.');
        if (frameData(frame) !== DONE) throw new FrameError('The last frame does not say that the answer is done.');
        this.#state = 'whole';
        this.#out.push(frame.bytes);
    }
  }

  #hold(bytes: Buffer): void {
    this.#preludeBytes += bytes.length;
    if (this.#preludeBytes > this.#options.preludeBytesMax) throw new FrameError('No content came in many frames.');
    this.#prelude.push(bytes);
  }

  #commit(bytes: Buffer): void {
    if (this.#hasContent) {
      this.#out.push(bytes);
      return;
    }
    this.#hasContent = true;
    this.#options.onFirstContent();
    this.#out.push(...this.#prelude, withNote(bytes, this.#options.note()));
    this.#prelude = [];
  }

  #takeUsage(frame: CanonicalFrame): void {
    const usage = readUsage(frameData(frame));
    if (usage !== undefined) this.#options.onUsage(usage);
    if (this.#options.includeUsage && this.#hasContent) this.#out.push(frame.bytes);
  }
}

const DONE = '[DONE]';
const OBJECT_OPENING = 'data: {';
const MEMBER_OPENING = `${OBJECT_OPENING}"`;

/** Puts a `stoker` member in front of the others, without parsing the chunk. */
function withNote(bytes: Buffer, note: string | undefined): Buffer {
  if (note === undefined || bytes.toString('latin1', 0, MEMBER_OPENING.length) !== MEMBER_OPENING) return bytes;
  return Buffer.concat([Buffer.from(`${OBJECT_OPENING}"stoker":${note},`), bytes.subarray(OBJECT_OPENING.length)]);
}
