// The adapter of SGLang: its launch_server as it comes in its image, one process group per instance. Verifies the weights'
// folder before every start. Never decides when an instance sleeps, wakes or stops.
import { z } from 'zod';
import { renderImageBuild } from '../api/engine-image.ts';
import { survivesSleep } from '../api/engine-sleep.ts';
import type { SglangLaunch } from '../api/link.ts';
import { assert } from '../lib/assert.ts';
import type { Clock } from '../lib/clock.ts';
import type { EngineAdapter } from '../ports/engine.ts';
import { sglangCommand } from './sglang/command.ts';
import { sglangFigureNames } from './sglang/figures.ts';
import { sglangProbe } from './sglang/probe.ts';
import { sglangSleep, sglangWake } from './sglang/sleep.ts';
import type { EngineDialect } from './third-party/dialect.ts';
import { demandJson, type EngineHttp } from './third-party/engine-http.ts';
import { readFigures } from './third-party/figures.ts';
import { checkArguments, isHealthy } from './third-party/launch-rules.ts';
import { startThirdParty } from './third-party/third-party-engine.ts';
import type { FolderEngineOptions } from './vllm-adapter.ts';
import { verifyFolder } from './weights-folder.ts';

export function createSglangAdapter(options: FolderEngineOptions): EngineAdapter {
  return {
    engine: 'Sglang',
    survivesSleep: (launch) => launch.engine === 'Sglang' && survivesSleep(launch),
    async start(instance, launch, signal) {
      assert(launch.engine === 'Sglang', 'an adapter is given launches of its own engine');
      checkArguments(launch);
      await verifyFolder(launch, options.digests, signal);
      const dialect = sglangDialect(launch, options.clock);
      const build = renderImageBuild(launch.imageDigest);
      const { engine, servedName } = launch;
      return startThirdParty({ instance, engine, servedName, dialect, build, buildPrefix: 'sglang' }, options, signal);
    },
  };
}

function sglangDialect(launch: SglangLaunch, clock: Clock): EngineDialect {
  const { weightsPath } = launch;
  return {
    command: (at) => sglangCommand(launch, at),
    saysWeightsLoaded: (line) => line.includes('Load weight end'),
    // 503 until the first request of its own was answered.
    isUp: (http, signal) => isHealthy(http, '/health', signal),
    probe: sglangProbe,
    sleep: (http, _level, signal) => sglangSleep(http, clock, signal),
    wake: (http, level, signal) => sglangWake(http, { level, weightsPath }, signal),
    figures: (http, signal) => readFigures(http, sglangFigureNames, signal),
    version: readVersion,
  };
}

const versionSchema = z.object({ version: z.string().min(1).max(64) });

/** Older releases call it /get_server_info. */
async function readVersion(http: EngineHttp, signal: AbortSignal): Promise<string> {
  const what = { method: 'GET', answer: versionSchema, refused: 'EngineUnreachable' } as const;
  const { status } = await http.ask({ method: 'GET', path: '/server_info' }, signal);
  const path = status === 404 ? '/get_server_info' : '/server_info';
  return (await demandJson(http, { ...what, path }, signal)).version;
}
