// Bytes of a message that has not come whole: they count against the bodies of all requests, and may not wait for ever.
// Watches the socket below the WebSocket, which shows messages only when they are complete. Counts, never reads.
import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { BodyBudget } from '../stage/limit.ts';

export interface InboundMeter {
  /** A message has come whole. */
  message(): void;
  /** A ping or pong came, maybe between the frames of a message. */
  control(payloadBytes: number): void;
  stop(): void;
}

export interface InboundMeterOptions {
  readonly clock: Clock;
  readonly bodies: BodyBudget;
  /** From the first byte of a message to its last. */
  readonly messageMsMax: number;
  /** The bodies of all requests leave no room for it. */
  onNoRoom(): void;
  onLate(): void;
}

/** Opening of a small frame that a client sends: two bytes and four of the mask. */
const CONTROL_OPENING_BYTES = 6;

export function createInboundMeter(socket: Duplex, options: InboundMeterOptions): InboundMeter {
  const { clock, bodies, messageMsMax } = options;
  let held = 0;
  let late: Timer | undefined;
  const setHeld = (bytes: number) => {
    bodies.giveBack(held - bytes);
    held = bytes;
    if (held > 0) return;
    late?.cancel();
    late = undefined;
  };
  const onData = (chunk: Buffer) => {
    if (!bodies.take(chunk.length)) return options.onNoRoom();
    held += chunk.length;
    late ??= clock.after(messageMsMax, options.onLate, { background: true });
  };
  // Before the WebSocket, so that a message that these bytes complete is counted and then taken off.
  socket.prependListener('data', onData);
  return {
    message: () => setHeld(0),
    control: (payloadBytes) => setHeld(Math.max(0, held - CONTROL_OPENING_BYTES - payloadBytes)),
    stop() {
      socket.off('data', onData);
      setHeld(0);
    },
  };
}
