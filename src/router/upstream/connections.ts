// Connections to agents and upstreams: one undici pool for each address in the table, kept alive, and closed when the address
// is gone from the table. Sets the connect timeout and, for upstreams, which addresses are dialled at all; everything else is
// bounded by the request's own deadline, and by departures.ts.
import { buildConnector, Pool } from 'undici';
import { literalHost } from '../../api/upstream-address.ts';
import { AddressRefused, createGuardedLookup, mayDial } from './guarded-lookup.ts';

const CONNECT_MS_MAX = 2000;
/** Further away, and with TLS. */
const REMOTE_CONNECT_MS_MAX = 10_000;
/** Shorter than the agent keeps an idle connection, so that it is never the agent that closes one under a request. */
const IDLE_MS_MAX = 30_000;
/** What is not known of an upstream that does not say how long it keeps one. */
const REMOTE_IDLE_MS = 4000;

export interface Connections {
  /** `host:port` of an agent, or the origin of an upstream. */
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
        pools.get(address) ?? (address.includes('://') ? createRemotePool(address) : createAgentPool(address));
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

/** Deadlines bound every wait for an answer. */
const noTimeouts = { headersTimeout: 0, bodyTimeout: 0, pipelining: 1 } as const;

function createAgentPool(address: string): Pool {
  return new Pool(`http://${address}`, {
    ...noTimeouts,
    connect: { timeout: CONNECT_MS_MAX },
    keepAliveTimeout: IDLE_MS_MAX,
    keepAliveMaxTimeout: IDLE_MS_MAX,
  });
}

function createRemotePool(origin: string): Pool {
  const url = new URL(origin);
  const isTls = url.protocol === 'https:';
  const dial = buildConnector({ timeout: REMOTE_CONNECT_MS_MAX, lookup: createGuardedLookup(isTls), allowH2: false });
  const host = literalHost(url);
  const isRefused = host !== undefined && !mayDial(host, isTls);
  return new Pool(origin, {
    ...noTimeouts,
    allowH2: false,
    // A literal address is not looked up, so it is judged here.
    connect: (options, callback) => {
      if (isRefused) callback(new AddressRefused(url.host), null);
      else dial(options, callback);
    },
    keepAliveTimeout: REMOTE_IDLE_MS,
    keepAliveMaxTimeout: IDLE_MS_MAX,
  });
}
