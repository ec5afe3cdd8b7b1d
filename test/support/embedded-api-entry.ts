// An embedded API server as a process of its own, for tests that kill it. Takes the data folder; says where it listens.
import { systemClock } from '../../src/lib/clock.ts';
import { createApiServer } from '../../src/local/api/index.ts';
import { localDefinitions } from '../../src/main/local-definitions.ts';

const [dataDir = ''] = process.argv.slice(2);
const server = await createApiServer({ dataDir, port: 0, clock: systemClock, definitions: localDefinitions() });
process.send?.({ url: server.url, caPem: server.caPem, token: server.tokens.controller });
process.on('disconnect', () => process.exit(0));
