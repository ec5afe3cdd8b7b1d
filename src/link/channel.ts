// One open WebSocket, the same at both ends of the link: bounded sending, pings, and one end with one reason.
// Owns the socket from the upgrade to its destruction. Never reads messages: the ends do.
import type { WebSocket } from 'ws';
import { type Clock, every, type Timer } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { CLOSE_MS_MAX, PING_EVERY_MS, QUIET_PINGS_MAX, SEND_BUFFER_BYTES_MAX } from './bounds.ts';
import { closeReason, renderFrame } from './frames.ts';

interface ChannelOptions {
  readonly clock: Clock;
  readonly log: Log;
  onFrame(bytes: Buffer, isBinary: boolean): void;
  /** Called once, whoever ended it. No frame comes after. */
  onEnd(reason: string): void;
}

export interface Channel {
  /** False when the channel has ended, the message is too large, or the peer does not read (which ends the channel). */
  send(message: object): boolean;
  /** Ends the channel now: says goodbye with a code and a reason, and cuts the socket when the peer does not answer. */
  close(code: number, reason: string): void;
  isOpen(): boolean;
  /** Resolves once the socket is gone. Never rejects. */
  readonly closed: Promise<void>;
}

/** `socket` must be open already. Frames larger than the socket's maxPayload end the channel with 1009. */
export function createChannel(socket: WebSocket, options: ChannelOptions): Channel {
  const { clock, log } = options;
  let hasEnded = false;
  let quietPings = 0;
  const heard = () => {
    quietPings = 0;
  };
  const beat = every(clock, PING_EVERY_MS, onBeat, { background: true });

  function onBeat(): void {
    quietPings += 1;
    if (quietPings >= QUIET_PINGS_MAX) cut(`the peer was silent for ${QUIET_PINGS_MAX * PING_EVERY_MS} ms`);
    else socket.ping();
  }

  function end(reason: string): void {
    if (hasEnded) return;
    hasEnded = true;
    beat.cancel();
    options.onEnd(reason);
  }

  function cut(reason: string): void {
    socket.terminate();
    end(reason);
  }

  function send(message: object): boolean {
    if (hasEnded || socket.readyState !== socket.OPEN) return false;
    const text = renderFrame(message);
    if (text === undefined) {
      log.error({}, 'a link message is larger than a frame may be and was not sent');
      return false;
    }
    if (socket.bufferedAmount + text.length > SEND_BUFFER_BYTES_MAX) {
      cut(`the peer does not read: more than ${SEND_BUFFER_BYTES_MAX} bytes wait for it`);
      return false;
    }
    socket.send(text);
    return true;
  }

  socket.on('message', (bytes: Buffer, isBinary: boolean) => {
    heard();
    if (!hasEnded) options.onFrame(bytes, isBinary);
  });
  socket.on('ping', heard);
  socket.on('pong', heard);
  socket.on('error', (error) => {
    // ws has said goodbye with the fitting code by now (1009 for a frame that is too large); this only bounds the wait.
    closeWithin(socket, clock, { code: 1002, reason: '' });
    end(error.message);
  });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('close', (code, reason) =>
    end(`closed with ${code}${reason.length > 0 ? `: ${reason.toString('utf8')}` : ''}`),
  );
  return {
    send,
    close(code, reason) {
      closeWithin(socket, clock, { code, reason });
      end(reason);
    },
    isOpen: () => !hasEnded,
    closed,
  };
}

/** Starts the closing handshake and cuts the socket when it is not over within CLOSE_MS_MAX. */
export function closeWithin(socket: WebSocket, clock: Clock, goodbye: { code: number; reason: string }): void {
  const timer: Timer = clock.after(CLOSE_MS_MAX, () => socket.terminate(), { background: true });
  socket.once('close', () => timer.cancel());
  socket.close(goodbye.code, closeReason(goodbye.reason));
}
