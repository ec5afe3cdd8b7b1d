// Slots that have left the table while requests are still there. Most of them only drain, or have no share for this router: what
// runs there ends as always, and the table says nothing else. But a node that lost its power leaves it, too, and its connections
// never end by themselves. So a slot that has left is dialled until its last request has ended: one that drains takes
// connections to its end, and only one that takes none several times in a row is lost. Sends not a byte to anybody.
import { connect } from 'node:net';
import type { Clock, Timer } from '../../lib/clock.ts';

/** Longer than the last bytes of a slot take to leave, during which it takes no connections any more. */
const DIAL_EVERY_MS = 2000;
const DIAL_MS_MAX = 2000;
/** A single one may be a lost packet. */
const FAILURES_MAX = 2;

export interface Departures {
  /** `onLost` is called when the slot is lost. Gives what must be called when the request has left it. */
  watch(address: string, onLost: () => void): () => void;
  /** The addresses that the table names now. */
  keepOnly(addresses: ReadonlySet<string>): void;
  stop(): void;
}

export interface DeparturesOptions {
  readonly clock: Clock;
  /** Whether somebody takes connections at `host:port`. Never rejects. */
  dial?(address: string): Promise<boolean>;
}

interface Slot {
  /** One for each request that is there. */
  readonly guests: Set<() => void>;
  dialling: Timer | undefined;
}

export function createDepartures({
  clock,
  dial = (address) => takesConnections(address, clock),
}: DeparturesOptions): Departures {
  const slots = new Map<string, Slot>();
  const end = (slot: Slot) => {
    slot.dialling?.cancel();
    slot.dialling = undefined;
  };
  return {
    watch(address, onLost) {
      const slot = slots.get(address) ?? { guests: new Set(), dialling: undefined };
      slots.set(address, slot);
      slot.guests.add(onLost);
      return () => {
        slot.guests.delete(onLost);
        if (slot.guests.size > 0 || slots.get(address) !== slot) return;
        end(slot);
        slots.delete(address);
      };
    },
    keepOnly(addresses) {
      for (const [address, slot] of slots) {
        if (addresses.has(address)) end(slot);
        else slot.dialling ??= dialUntilLost(clock, { dial: () => dial(address), onLost: () => callAll(slot.guests) });
      }
    },
    stop() {
      for (const slot of slots.values()) end(slot);
      slots.clear();
    },
  };
}

function callAll(guests: ReadonlySet<() => void>): void {
  for (const onLost of [...guests]) onLost();
}

/** Calls `onLost` when the slot is, and not once it is cancelled. */
function dialUntilLost(clock: Clock, { dial, onLost }: { dial(): Promise<boolean>; onLost(): void }): Timer {
  let isOver = false;
  let failures = 0;
  let next: Timer | undefined;
  const dialAgain = async () => {
    const isThere = await dial();
    if (isOver) return;
    failures = isThere ? 0 : failures + 1;
    if (failures >= FAILURES_MAX) onLost();
    else next = clock.after(DIAL_EVERY_MS, () => void dialAgain(), { background: true });
  };
  void dialAgain();
  return {
    cancel() {
      isOver = true;
      next?.cancel();
    },
  };
}

function takesConnections(address: string, clock: Clock): Promise<boolean> {
  const { hostname, port } = new URL(`tcp://${address}`);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) });
    // Nobody waits for it when the router ends.
    socket.unref();
    const end = (isThere: boolean) => {
      timer.cancel();
      socket.destroy();
      resolve(isThere);
    };
    const timer = clock.after(DIAL_MS_MAX, () => end(false), { background: true });
    socket.once('connect', () => end(true));
    socket.on('error', () => end(false));
  });
}
