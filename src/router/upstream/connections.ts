// Connections to the agents: one undici pool for each address in the table, kept alive, and closed when the address is
// gone from the table. Sets the connect timeout; everything else is bounded by the request's own deadline.
import { Pool } from 'undici';

const CONNECT_MS_MAX = 2000;
/** Shorter than the agent keeps an idle connection, so that it is never the agent that closes one under a request. */
const IDLE_MS_MAX = 30_000;

export interface Connections {
  to(address: string): Pool;
  /** Closes the pools of addresses that are not listed, once their requests have ended. */
  keepOnly(addresses: ReadonlySet<string>): void;
  stop(): Promise<void>;
}

export function createConnections(): Connections {
  const pools = new Map<string, Pool>();
  return {
    to(address) {
      const pool =
        pools.get(address) ??
        new Pool(`http://${address}`, {
          connect: { timeout: CONNECT_MS_MAX },
          headersTimeout: 0,
          bodyTimeout: 0,
          keepAliveTimeout: IDLE_MS_MAX,
          keepAliveMaxTimeout: IDLE_MS_MAX,
          pipelining: 1,
        });
      pools.set(address, pool);
      return pool;
    },
    keepOnly(addresses) {
      for (const [address, pool] of pools) {
        if (addresses.has(address)) continue;
        pools.delete(address);
        // Waits for what is in flight; a pool that breaks meanwhile has nobody left to tell.
        void pool.close().catch(() => {});
      }
    },
    async stop() {
      await Promise.allSettled([...pools.values()].map((pool) => pool.destroy()));
      pools.clear();
    },
  };
}
