// The sending side of a WebSocket, with a reader that takes what it is told to. For tests of the fair sender.
import type { WebSocket } from 'ws';

export interface FakeSocket {
  readonly socket: Pick<WebSocket, 'send' | 'bufferedAmount'>;
  /** Whole messages that were sent. */
  readonly messages: string[];
  readonly frames: { readonly bytes: number; readonly fin: boolean }[];
  /** The reader takes the oldest frames, up to this many bytes (all by default). */
  read(bytesMax?: number): void;
}

export interface FakeSocketOptions {
  /** As a connection does it: what came while something was on its way leaves together, and is done when all of it is read. */
  readonly inBatches?: boolean;
}

interface Waiting {
  readonly bytes: number;
  done(): void;
}

export function createFakeSocket({ inBatches = false }: FakeSocketOptions = {}): FakeSocket {
  const waiting: Waiting[] = [];
  let onItsWay: { leftBytes: number; readonly frames: readonly Waiting[] } | undefined;
  const frames: FakeSocket['frames'] = [];
  const messages: string[] = [];
  let pieces: Buffer[] = [];
  let bufferedAmount = 0;
  const socket = {
    get bufferedAmount() {
      return bufferedAmount;
    },
    send(data: Buffer, options: { fin: boolean }, done: () => void) {
      pieces.push(Buffer.from(data));
      frames.push({ bytes: data.length, fin: options.fin });
      if (options.fin) {
        messages.push(Buffer.concat(pieces).toString('utf8'));
        pieces = [];
      }
      bufferedAmount += data.length;
      waiting.push({ bytes: data.length, done });
    },
  };
  const finish = (frame: Waiting) => {
    bufferedAmount -= frame.bytes;
    frame.done();
  };
  const readFrames = (bytesMax: number) => {
    let left = bytesMax;
    for (let next = waiting[0]; next !== undefined && left > 0; next = waiting[0]) {
      waiting.shift();
      left -= next.bytes;
      finish(next);
    }
  };
  const readBatches = (bytesMax: number) => {
    let left = bytesMax;
    while (left > 0 && (onItsWay !== undefined || waiting.length > 0)) {
      onItsWay ??= { leftBytes: waiting.reduce((sum, { bytes }) => sum + bytes, 0), frames: waiting.splice(0) };
      const readNow = Math.min(left, onItsWay.leftBytes);
      left -= readNow;
      onItsWay.leftBytes -= readNow;
      if (onItsWay.leftBytes > 0) return;
      const { frames: done } = onItsWay;
      onItsWay = undefined;
      for (const frame of done) finish(frame);
    }
  };
  return {
    socket: socket as unknown as FakeSocket['socket'],
    messages,
    frames,
    read: (bytesMax = Number.POSITIVE_INFINITY) => (inBatches ? readBatches : readFrames)(bytesMax),
  };
}
