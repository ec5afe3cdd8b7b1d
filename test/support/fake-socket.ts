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

export function createFakeSocket(): FakeSocket {
  const waiting: { readonly bytes: number; readonly done: () => void }[] = [];
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
  return {
    socket: socket as unknown as FakeSocket['socket'],
    messages,
    frames,
    read(bytesMax = Number.POSITIVE_INFINITY) {
      let left = bytesMax;
      for (let next = waiting[0]; next !== undefined && left > 0; next = waiting[0]) {
        waiting.shift();
        left -= next.bytes;
        bufferedAmount -= next.bytes;
        next.done();
      }
    },
  };
}
