// The command line of `sglang.launch_server` for one launch. Pure. Sampling defaults come from the launch alone, nothing is
// fetched, and the health check computes nothing: it is asked while the model's memory is released, too.
import type { SglangLaunch } from '../../api/link.ts';
import type { EngineCommand, ListenAt } from '../third-party/dialect.ts';
import { renderSamplingDefaults } from '../third-party/sampling-defaults.ts';

/** Its own watchdog ends the process when one step takes longer. */
const STEP_SECONDS_MAX = 180;

export function sglangCommand(launch: SglangLaunch, { host, port, key }: ListenAt): EngineCommand {
  const sampling = renderSamplingDefaults(launch.sampling);
  return {
    command: 'python3',
    args: [
      '-m',
      'sglang.launch_server',
      `--model-path=${launch.weightsPath}`,
      `--served-model-name=${launch.servedName}`,
      `--host=${host}`,
      `--port=${port}`,
      // It has no other way in. The slot's processes are the only ones that see it.
      `--api-key=${key}`,
      `--context-length=${launch.contextLength}`,
      `--max-running-requests=${launch.concurrency}`,
      '--sampling-defaults=openai',
      ...(sampling === undefined ? [] : [`--preferred-sampling-params=${sampling}`]),
      ...(launch.kvTokens === undefined ? [] : [`--max-total-tokens=${launch.kvTokens}`]),
      // It counts from what is free when it starts, which is less beside sleepers: never more than was meant.
      ...(launch.staticPermille === undefined ? [] : [`--mem-fraction-static=${launch.staticPermille / 1000}`]),
      ...(launch.sleep === 'Never' ? [] : ['--enable-memory-saver']),
      // Without the copy in memory a resume gives back room with garbage in it (sglang#6367).
      ...(launch.sleep === 'Level1' ? ['--enable-weights-cpu-backup'] : []),
      '--enable-metrics',
      `--watchdog-timeout=${STEP_SECONDS_MAX}`,
      '--log-level-http=warning',
      ...launch.args,
    ],
    variables: {
      // By default /health computes a token, which touches memory that a sleeper has released.
      SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION: 'false',
      // An idle scheduler compares its books with memory that a sleeper does not have.
      SGLANG_ENABLE_STRICT_MEM_CHECK_DURING_IDLE: 'false',
      HF_HUB_OFFLINE: '1',
      TRANSFORMERS_OFFLINE: '1',
    },
  };
}
