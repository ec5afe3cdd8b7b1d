// Everything that one WebSocket still has to send: a lane for each request, taken in turns, in frames of bounded size. Stops
// taking while too many bytes wait to be read, and says so when that lasts. Never drops an event of a lane that goes on.
import type { WebSocket } from 'ws';
import type { Clock, Timer } from '../../lib/clock.ts';
import { EventLane, type Lane, type LaneOptions } from './lane.ts';

export interface SenderBounds {
  readonly frameBytesMax: number;
  /** Bytes that wait for the reader on their way out; nothing is taken from the lanes above it. */
  readonly bufferedBytesMax: number;
  /** How long it may stay like that without any of them being read. */
  readonly stallMsMax: number;
  /** Bytes that wait in one lane. */
  readonly laneBytesMax: number;
  /** Bytes that wait in all lanes: above it the fullest one overflows. */
  readonly lanesBytesMax: number;
}

export interface FairSender {
  openLane(options: LaneOptions): Lane;
  /** A message that belongs to no request; it goes first. False when too many of them wait. */
  notify(text: string): boolean;
  /** Nothing is sent any more but what is on its way: every lane is gone. */
  stop(): void;
}

export interface FairSenderOptions {
  readonly socket: Pick<WebSocket, 'send' | 'bufferedAmount'>;
  readonly clock: Clock;
  readonly bounds: SenderBounds;
  /** The reader has read nothing for too long. */
  onStall(): void;
}

/** Messages that belong to no request. */
const NOTICES_MAX = 256;
/**
 * Bytes that the socket has at a time. It sends what waits in it together and tells when all of that is gone: with more,
 * a slow reader would look like one that does not read.
 */
const SOCKET_BYTES_MAX = 64 * 1024;

interface Frame {
  readonly bytes: Buffer;
  /** The last one of its message. */
  readonly fin: boolean;
  whenSent(): void;
}

export function createFairSender(options: FairSenderOptions): FairSender {
  return new TurnTaker(options);
}

class TurnTaker implements FairSender {
  readonly #options: FairSenderOptions;
  /** In the order of their turns; only lanes that have something. */
  readonly #ready = new Set<EventLane>();
  readonly #open = new Set<EventLane>();
  #notices: Buffer[] = [];
  #waitingBytes = 0;
  /** On their way out, before the socket. */
  readonly #frames: Frame[] = [];
  #framesBytes = 0;
  #stall: Timer | undefined;
  #isStopped = false;

  constructor(options: FairSenderOptions) {
    this.#options = options;
  }

  openLane(options: LaneOptions): Lane {
    const lane = new EventLane(options, {
      added: (each, bytes) => this.#added(each, bytes),
      dropped: (each, bytes) => this.#dropped(each, bytes),
      gone: (each) => void this.#open.delete(each),
    });
    this.#open.add(lane);
    if (this.#isStopped) lane.abandon();
    return lane;
  }

  notify(text: string): boolean {
    if (this.#isStopped) return true;
    if (this.#notices.length >= NOTICES_MAX) return false;
    this.#notices.push(Buffer.from(text));
    this.#pump();
    return true;
  }

  stop(): void {
    this.#isStopped = true;
    this.#stall?.cancel();
    this.#notices = [];
    this.#ready.clear();
    this.#handOver(Number.POSITIVE_INFINITY);
    for (const lane of [...this.#open]) lane.abandon();
  }

  #added(lane: EventLane, bytes: number): void {
    this.#waitingBytes += bytes;
    this.#ready.add(lane);
    this.#pump();
    const { laneBytesMax, lanesBytesMax } = this.#options.bounds;
    if (lane.bytes > laneBytesMax) lane.overflow();
    else if (this.#waitingBytes > lanesBytesMax) this.#fullest()?.overflow();
  }

  #dropped(lane: EventLane, bytes: number): void {
    this.#waitingBytes -= bytes;
    this.#ready.delete(lane);
  }

  #fullest(): EventLane | undefined {
    let fullest: EventLane | undefined;
    for (const lane of this.#ready) {
      if (!lane.hasOverflowed && lane.bytes > (fullest?.bytes ?? 0)) fullest = lane;
    }
    return fullest;
  }

  #pump(): void {
    if (this.#isStopped) return;
    while (this.#hasRoom() && this.#sendNext());
    this.#watchStall();
  }

  #hasRoom(): boolean {
    const { socket, bounds } = this.#options;
    return this.#framesBytes + socket.bufferedAmount <= bounds.bufferedBytesMax;
  }

  /** One message of whoever's turn it is; false when nothing waits. */
  #sendNext(): boolean {
    const notice = this.#notices.shift();
    if (notice !== undefined) {
      this.#send(notice, () => {});
      return true;
    }
    const [lane] = this.#ready;
    if (lane === undefined) return false;
    this.#ready.delete(lane);
    const { text, bytes, whenSent } = lane.take();
    this.#waitingBytes -= bytes;
    if (!lane.isEmpty()) this.#ready.add(lane);
    this.#send(text, whenSent);
    return true;
  }

  /** A message longer than a frame goes out in several, which every client puts together by itself. */
  #send(text: Buffer, whenSent: () => void): void {
    const { frameBytesMax } = this.#options.bounds;
    for (let start = 0; start < text.length; start += frameBytesMax) {
      const bytes = text.subarray(start, start + frameBytesMax);
      const fin = start + bytes.length === text.length;
      this.#frames.push({ bytes, fin, whenSent: fin ? whenSent : () => {} });
    }
    this.#framesBytes += text.length;
    this.#handOver(SOCKET_BYTES_MAX);
  }

  #handOver(socketBytesMax: number): void {
    const { socket } = this.#options;
    while (socket.bufferedAmount < socketBytesMax) {
      const frame = this.#frames.shift();
      if (frame === undefined) return;
      const { bytes, fin, whenSent } = frame;
      this.#framesBytes -= bytes.length;
      // Whether it went well is told by the socket's own end.
      socket.send(bytes, { binary: false, fin }, () => {
        whenSent();
        this.#onRead();
      });
    }
  }

  /** The reader has read something: a stall counts from here, however much still waits. */
  #onRead(): void {
    if (this.#isStopped) return;
    this.#stall?.cancel();
    this.#stall = undefined;
    this.#handOver(SOCKET_BYTES_MAX);
    this.#pump();
  }

  #watchStall(): void {
    if (this.#hasRoom()) {
      this.#stall?.cancel();
      this.#stall = undefined;
      return;
    }
    this.#stall ??= this.#options.clock.after(this.#options.bounds.stallMsMax, () => this.#options.onStall(), {
      background: true,
    });
  }
}
