// Connections to the engines of this slot: one undici pool per engine process, dropped when the process ends.
import { Pool } from 'undici';
import type { EngineProcess } from '../../ports/engine.ts';
import { CONNECT_MS_MAX, ENGINE_KEEP_ALIVE_MS_MAX, SILENCE_MS_MAX } from './bounds.ts';

export interface EngineConnections {
  to(process: EngineProcess): Pool;
  close(): Promise<void>;
}

export function createEngineConnections(): EngineConnections {
  const pools = new Map<EngineProcess, Pool>();
  const drop = async (process: EngineProcess) => {
    const pool = pools.get(process);
    pools.delete(process);
    await pool?.destroy();
  };
  return {
    to(process) {
      const known = pools.get(process);
      if (known !== undefined) return known;
      // The head of an answer may take as long as the request's deadline allows, which its signal says.
      const pool = new Pool(process.baseUrl, {
        connect: { timeout: CONNECT_MS_MAX },
        headersTimeout: 0,
        bodyTimeout: SILENCE_MS_MAX,
        keepAliveMaxTimeout: ENGINE_KEEP_ALIVE_MS_MAX,
        pipelining: 1,
      });
      pools.set(process, pool);
      void process.exited.then(() => drop(process)).catch(() => {});
      return pool;
    },
    async close() {
      await Promise.allSettled([...pools.keys()].map(drop));
    },
  };
}
