// A way to an API server that is as bad as a test wants it: connections are cut in the middle of a line, stand still, or
// are refused for a while. It passes bytes on and does not look into them.
import { connect, createServer, type Socket } from 'node:net';
import type { Rng } from '../../../src/lib/rng.ts';

export interface RoughRoad {
  /** The server's address, by this road. */
  readonly server: string;
  /** Cuts a share of the open connections, wherever they are. */
  cut(share: number): void;
  /** Open connections pass nothing on until the next call. */
  hold(isHeld: boolean): void;
  /** New connections are refused until the next call. */
  refuse(isRefused: boolean): void;
  /** How many were cut, held or refused. */
  troubles(): number;
  close(): Promise<void>;
}

export async function openRoughRoad(server: string, rng: Rng): Promise<RoughRoad> {
  const { hostname, port } = new URL(server);
  const pairs = new Set<readonly [Socket, Socket]>();
  let [isHeld, isRefused, troubles] = [false, false, 0];
  const front = createServer((near) => {
    if (isRefused) {
      troubles += 1;
      near.destroy();
      return;
    }
    const far = connect(Number(port), hostname);
    const pair = [near, far] as const;
    pairs.add(pair);
    for (const [one, other] of [pair, [far, near] as const]) {
      one.on('error', () => other.destroy());
      one.on('close', () => {
        pairs.delete(pair);
        other.destroy();
      });
      one.on('data', (bytes) => other.write(bytes));
    }
    if (isHeld) for (const socket of pair) socket.pause();
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  const address = front.address();
  if (typeof address !== 'object' || address === null) throw new Error('the road has no port');
  return {
    server: `https://127.0.0.1:${address.port}`,
    cut(share) {
      for (const [near, far] of [...pairs]) {
        if (rng.next() >= share) continue;
        troubles += 1;
        near.destroy();
        far.destroy();
      }
    },
    hold(held) {
      isHeld = held;
      if (held) troubles += pairs.size;
      for (const socket of [...pairs].flat()) held ? socket.pause() : socket.resume();
    },
    refuse(refused) {
      isRefused = refused;
    },
    troubles: () => troubles,
    async close() {
      const closed = new Promise<void>((resolve) => front.close(() => resolve()));
      for (const [near, far] of pairs) {
        near.destroy();
        far.destroy();
      }
      await closed;
    },
  };
}
