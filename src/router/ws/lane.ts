// What one request on a WebSocket still has to send: its events in order, numbered when they are taken, so that what was
// dropped leaves no gap. Ends with its last event. Whose turn it is, is the business of fair-sender.ts.

/** One event of a lane; its number is given when it is sent, so that what was dropped leaves no gap. */
export interface LaneEvent {
  readonly type: string;
  /** The members after type, id and seq: empty, or JSON text that opens with a comma. */
  readonly members: Buffer;
  /** The lane ends with it. */
  readonly isLast: boolean;
}

export interface Lane {
  push(event: LaneEvent): void;
  /** Ends the lane with this event instead of everything that waits in it. */
  cutOff(event: LaneEvent): void;
  isEmpty(): boolean;
  /** Calls back when the last event has left, or nothing ever will. */
  onGone(done: () => void): void;
}

export interface LaneOptions {
  readonly id: string;
  /** It holds more than it may: whoever fills it must stop. Called once. */
  onOverflow(): void;
  /** The last event was taken: the id is free. */
  onLast(): void;
}

/** Who keeps the turns. */
interface LaneWatch {
  added(lane: EventLane, bytes: number): void;
  dropped(lane: EventLane, bytes: number): void;
  gone(lane: EventLane): void;
}

export class EventLane implements Lane {
  readonly #options: LaneOptions;
  readonly #watch: LaneWatch;
  #events: LaneEvent[] = [];
  /** Index of the oldest event: taking must not move the others. */
  #first = 0;
  #seq = 0;
  #isEnded = false;
  #isGone = false;
  #waitingForEnd: (() => void)[] = [];
  bytes = 0;
  hasOverflowed = false;

  constructor(options: LaneOptions, watch: LaneWatch) {
    this.#options = options;
    this.#watch = watch;
  }

  push(event: LaneEvent): void {
    if (this.#isEnded || this.#isGone) return;
    this.#add(event);
  }

  cutOff(event: LaneEvent): void {
    // Its last event may have gone already: then there is nobody to tell.
    if (this.#isGone || (this.#isEnded && this.isEmpty())) return;
    this.#clear();
    this.#add(event);
  }

  #add(event: LaneEvent): void {
    this.#isEnded = event.isLast;
    const bytes = sizeOf(event);
    this.#events.push(event);
    this.bytes += bytes;
    this.#watch.added(this, bytes);
  }

  isEmpty(): boolean {
    return this.#first === this.#events.length;
  }

  /** The oldest event, with its number. Only when there is one. */
  take(): { text: Buffer; bytes: number; whenSent: () => void } {
    const event = this.#events[this.#first];
    if (event === undefined) throw new Error('An empty lane was in the turn.');
    this.#first += 1;
    if (this.#first > 64 && this.#first * 2 > this.#events.length) this.#compact();
    const bytes = sizeOf(event);
    this.bytes -= bytes;
    this.#seq += 1;
    const opening = `{"type":"${event.type}","id":"${this.#options.id}","seq":${this.#seq}`;
    if (event.isLast) this.#options.onLast();
    return {
      text: Buffer.concat([Buffer.from(opening), event.members, CLOSING]),
      bytes,
      whenSent: event.isLast ? () => this.abandon() : () => {},
    };
  }

  #clear(): void {
    const { bytes } = this;
    this.#events = [];
    this.#first = 0;
    this.bytes = 0;
    this.#watch.dropped(this, bytes);
  }

  overflow(): void {
    if (this.hasOverflowed) return;
    this.hasOverflowed = true;
    this.#options.onOverflow();
  }

  onGone(done: () => void): void {
    if (this.#isGone) done();
    else this.#waitingForEnd.push(done);
  }

  /** Nothing will leave any more. */
  abandon(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#clear();
    this.#watch.gone(this);
    for (const done of this.#waitingForEnd) done();
    this.#waitingForEnd = [];
  }

  #compact(): void {
    this.#events = this.#events.slice(this.#first);
    this.#first = 0;
  }
}

const CLOSING = Buffer.from('}');
/** Of the opening of an event and of what keeps it: many small events are as much as few large ones. */
const EVENT_BYTES = 128;

function sizeOf(event: LaneEvent): number {
  return event.members.length + EVENT_BYTES;
}
