// The adapter of vLLM: `vllm serve` as it comes in its image, one process group per instance. Verifies the weights' folder
// before every start. Never decides when an instance sleeps, wakes or stops.
import { z } from 'zod';
import { renderImageBuild } from '../api/engine-image.ts';
import { survivesSleep } from '../api/engine-sleep.ts';
import type { VllmLaunch } from '../api/link.ts';
import { assert } from '../lib/assert.ts';
import type { EngineAdapter } from '../ports/engine.ts';
import type { FileDigests } from './file-digest.ts';
import type { EngineDialect } from './third-party/dialect.ts';
import { demandJson } from './third-party/engine-http.ts';
import { readFigures } from './third-party/figures.ts';
import { checkArguments, isHealthy } from './third-party/launch-rules.ts';
import { startThirdParty, type ThirdPartyContext } from './third-party/third-party-engine.ts';
import { vllmCommand } from './vllm/command.ts';
import { vllmFigureNames } from './vllm/figures.ts';
import { vllmProbe } from './vllm/probe.ts';
import { vllmSleep, vllmWake } from './vllm/sleep.ts';
import { verifyFolder } from './weights-folder.ts';

export interface FolderEngineOptions extends ThirdPartyContext {
  readonly digests: FileDigests;
}

export function createVllmAdapter(options: FolderEngineOptions): EngineAdapter {
  return {
    engine: 'Vllm',
    survivesSleep: (launch) => launch.engine === 'Vllm' && survivesSleep(launch),
    async start(instance, launch, signal) {
      assert(launch.engine === 'Vllm', 'an adapter is given launches of its own engine');
      checkArguments(launch);
      await verifyFolder(launch, options.digests, signal);
      const dialect = vllmDialect(launch);
      const build = renderImageBuild(launch.imageDigest);
      const { engine, servedName } = launch;
      return startThirdParty({ instance, engine, servedName, dialect, build, buildPrefix: 'vllm' }, options, signal);
    },
  };
}

const versionSchema = z.object({ version: z.string().min(1).max(64) });

export function vllmDialect(launch: VllmLaunch): EngineDialect {
  const { servedName } = launch;
  return {
    command: (at) => vllmCommand(launch, at),
    // Once for each worker: "Model loading took 14.99 GiB memory and 6.24 seconds".
    saysWeightsLoaded: (line) => line.includes('Model loading took'),
    // 200 with nothing, or 503 when the process that computes is gone.
    isUp: (http, signal) => isHealthy(http, '/health', signal),
    probe: (http, salt, signal) => vllmProbe(http, { servedName, salt }, signal),
    sleep: vllmSleep,
    wake: vllmWake,
    figures: (http, signal) => readFigures(http, vllmFigureNames, signal),
    async version(http, signal) {
      const what = { method: 'GET', path: '/version', answer: versionSchema, refused: 'EngineUnreachable' } as const;
      return (await demandJson(http, what, signal)).version;
    },
  };
}
