// The process of the embedded Kubernetes API. Leaves a kubeconfig for people and one for each part in the data folder.
import { systemClock } from '../lib/clock.ts';
import { createApiServer } from '../local/api/index.ts';
import { createLog, type LogLevel } from '../telemetry/log.ts';
import { openDataFolder, writePrivateFile } from './data-folder.ts';
import { renderKubeconfig } from './kubeconfig.ts';
import { localDefinitions } from './local-definitions.ts';
import { listening, type Part } from './part.ts';

export function localApiPart(options: { dataDir: string; port: number; logLevel: LogLevel }): Part {
  const log = createLog('local-api', options.logLevel);
  const folder = openDataFolder(options.dataDir);
  return {
    name: 'local-api',
    log,
    stopMsMax: 4000,
    async start() {
      const setting = { flag: 'api-port', variable: 'STOKER_API_PORT', port: options.port };
      const server = await listening(setting, () =>
        createApiServer({
          dataDir: folder.path,
          host: '127.0.0.1',
          port: options.port,
          clock: systemClock,
          definitions: localDefinitions(),
          log,
        }),
      );
      for (const user of ['controller', 'node'] as const) {
        const text = renderKubeconfig({ url: server.url, caPem: server.caPem, user, token: server.tokens[user] });
        writePrivateFile(folder.secretFile(`${user}.kubeconfig`), text);
      }
      writePrivateFile(folder.secretFile('router-token'), `${server.tokens.router}\n`);
      return { facts: { url: server.url, port: server.port }, stop: () => server.close() };
    },
  };
}
