// The process of the local node, which runs Pods as child processes.
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { selectVariables } from '../engine/third-party/variables.ts';
import { systemClock } from '../lib/clock.ts';
import { systemRng } from '../lib/rng.ts';
import { createNodeApi } from '../local/node/api-client.ts';
import { createLocalNode } from '../local/node/node.ts';
import { createLog, type LogLevel } from '../telemetry/log.ts';
import { openDataFolder } from './data-folder.ts';
import { connectionOfKubeconfig } from './kubeconfig.ts';
import type { Part } from './part.ts';
import { stokerCommand } from './supervisor.ts';

/** Accelerators that do not exist: what slots of simulated engines ask for, so that they take no cores away. */
const SIMULATED_GPUS = 8;

interface LocalNodeOptions {
  readonly dataDir: string;
  readonly allowCommands: boolean;
  readonly engineThreads: number;
  readonly logLevel: LogLevel;
}

export function localNodePart(options: LocalNodeOptions): Part {
  const log = createLog('local-node', options.logLevel);
  const folder = openDataFolder(options.dataDir);
  return {
    name: 'local-node',
    log,
    stopMsMax: 14_000,
    async start() {
      const connection = connectionOfKubeconfig(readFileSync(folder.secretFile('node.kubeconfig'), 'utf8'));
      const node = createLocalNode({
        api: createNodeApi({ ...connection, clock: systemClock, rng: systemRng, log }),
        nodeName: 'local',
        dataDir: folder.path,
        capacity: {
          cpu: `${availableParallelism()}`,
          memory: `${totalmem()}`,
          'stoker.dev/cpu': `${availableParallelism()}`,
          'stoker.dev/sim-gpu': `${SIMULATED_GPUS}`,
        },
        entryPoint: { command: stokerCommand.command, args: [...stokerCommand.args] },
        allowCommands: options.allowCommands,
        environment: slotEnvironment(options),
        clock: systemClock,
        rng: systemRng,
        log,
      });
      await node.start();
      return { facts: {}, stop: () => node.stop() };
    },
  };
}

/** Where the programs of engines that are installed here are found. */
const SEARCH_VARIABLES = ['PATH', 'LD_LIBRARY_PATH', 'HOME'];

/** What every slot of this node is told: nothing else of our own environment reaches it. */
function slotEnvironment({ engineThreads, logLevel, allowCommands }: LocalNodeOptions): Record<string, string> {
  const { NODE_COMPILE_CACHE: cache, ...own } = process.env;
  return {
    ...(allowCommands ? installedEngines(own) : {}),
    STOKER_ENGINE_THREADS: `${engineThreads}`,
    STOKER_LOG_LEVEL: logLevel,
    ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }),
  };
}

/** What engines that are not ours need of the environment in which Stoker was started. */
function installedEngines(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const search = SEARCH_VARIABLES.flatMap((name) => {
    const value = environment[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...selectVariables(environment), ...Object.fromEntries(search) };
}
