// Ports for engines that cannot tell which one they got. Taken below the ranges that systems and Kubernetes hand out by
// themselves, because such an engine may listen minutes after it was given its port. Never hands one out twice at a time.
import { createServer } from 'node:net';
import type { Rng } from '../../lib/rng.ts';
import { EngineError } from '../engine-error.ts';

/** Outgoing connections get ports from 32768 on, NodePorts lie in 30000 to 32767. */
const PORT_MIN = 20_000;
const PORT_MAX = 29_999;
const TRIES_MAX = 64;

export interface Ports {
  /** Free on loopback right now. Rejects with EngineError when none is found. */
  take(): Promise<number>;
  giveBack(port: number): void;
}

export function createPorts(rng: Rng, isFree: (port: number) => Promise<boolean> = canListen): Ports {
  const taken = new Set<number>();
  return {
    async take() {
      for (let tries = 0; tries < TRIES_MAX; tries += 1) {
        const port = PORT_MIN + rng.below(PORT_MAX - PORT_MIN + 1);
        if (taken.has(port)) continue;
        taken.add(port);
        if (await isFree(port)) return port;
        taken.delete(port);
      }
      throw new EngineError('StartFailed', `No free port was found between ${PORT_MIN} and ${PORT_MAX}.`);
    },
    giveBack: (port) => void taken.delete(port),
  };
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
