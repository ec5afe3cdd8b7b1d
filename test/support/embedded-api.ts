// An embedded API server in a folder of its own, with Stoker's kinds, and a connection for each kind of caller.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Connection } from '../../src/kube/connection.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { type ApiServer, createApiServer } from '../../src/local/api/index.ts';
import { localDefinitions } from '../../src/main/local-definitions.ts';

export interface EmbeddedApi {
  readonly server: ApiServer;
  readonly dataDir: string;
  connectionOf(caller: keyof ApiServer['tokens']): Connection;
  /** Ends the server; the folder stays. */
  stop(): Promise<void>;
  /** Ends the server and removes the folder. */
  close(): Promise<void>;
}

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'stoker-api-'));
}

export async function startEmbeddedApi(options: { dataDir?: string; clock?: Clock } = {}): Promise<EmbeddedApi> {
  const { dataDir = temporaryFolder(), clock = systemClock } = options;
  const server = await createApiServer({ dataDir, port: 0, clock, definitions: localDefinitions() });
  return {
    server,
    dataDir,
    connectionOf: (caller) => ({
      server: server.url,
      tls: { ca: server.caPem },
      namespace: 'default',
      authorize: async () => ({ authorization: `Bearer ${server.tokens[caller]}` }),
    }),
    stop: () => server.close(),
    async close() {
      await server.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
