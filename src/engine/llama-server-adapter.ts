// The adapter of llama-server, the server of llama.cpp: one process group per instance, one GGUF file, verified before every
// start. It cannot be ordered to sleep, so its instances are stopped instead.
import { z } from 'zod';
import { renderImageBuild } from '../api/engine-image.ts';
import { survivesSleep } from '../api/engine-sleep.ts';
import type { LlamaServerLaunch } from '../api/link.ts';
import { assert } from '../lib/assert.ts';
import type { EngineAdapter } from '../ports/engine.ts';
import { EngineError } from './engine-error.ts';
import { llamaServerCommand } from './llama-server/command.ts';
import { llamaServerFigureNames } from './llama-server/figures.ts';
import { llamaServerProbe } from './llama-server/probe.ts';
import type { Environment } from './process-group.ts';
import type { EngineDialect } from './third-party/dialect.ts';
import { demandJson } from './third-party/engine-http.ts';
import { readFigures } from './third-party/figures.ts';
import { checkArguments, isHealthy } from './third-party/launch-rules.ts';
import { startThirdParty } from './third-party/third-party-engine.ts';
import { verifyWeights } from './verify-weights.ts';
import type { FolderEngineOptions } from './vllm-adapter.ts';

export function createLlamaServerAdapter(options: FolderEngineOptions): EngineAdapter {
  return {
    engine: 'LlamaServer',
    survivesSleep: (launch) => launch.engine === 'LlamaServer' && survivesSleep(launch),
    async start(instance, launch, signal) {
      assert(launch.engine === 'LlamaServer', 'an adapter is given launches of its own engine');
      checkArguments(launch);
      await verifyWeights(launch, options.digests, signal);
      const dialect = llamaServerDialect(launch, options.environment);
      const build = renderImageBuild(launch.imageDigest);
      const { engine, servedName } = launch;
      return startThirdParty(
        { instance, engine, servedName, dialect, build, buildPrefix: 'llama-server' },
        options,
        signal,
      );
    },
  };
}

const propsSchema = z.object({ build_info: z.string().min(1).max(64) });

function llamaServerDialect(launch: LlamaServerLaunch, environment: Environment): EngineDialect {
  return {
    command: (at) => llamaServerCommand(launch, at, environment),
    // It warms up within its load and does not tell.
    saysWeightsLoaded: () => false,
    // 503 {"error":{"code":503,"message":"Loading model"}} until it is loaded.
    isUp: (http, signal) => isHealthy(http, '/health', signal),
    probe: (http, _salt, signal) => llamaServerProbe(http, signal),
    async sleep() {
      throw new EngineError('SleepFailed', 'llama-server cannot be ordered to sleep.');
    },
    async wake() {
      throw new EngineError('WakeFailed', 'llama-server cannot be ordered to wake.');
    },
    figures: (http, signal) => readFigures(http, llamaServerFigureNames, signal),
    async version(http, signal) {
      const what = { method: 'GET', path: '/props', answer: propsSchema, refused: 'EngineUnreachable' } as const;
      return (await demandJson(http, what, signal)).build_info;
    },
  };
}
