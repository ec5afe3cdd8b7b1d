// The command line of `vllm serve` for one launch. Pure. Everything that decides answers comes from the launch: the folder's own
// sampling defaults are switched off, nothing is fetched, and the development endpoints listen on loopback alone.
import type { VllmLaunch } from '../../api/link.ts';
import type { EngineCommand, ListenAt } from '../third-party/dialect.ts';
import { renderSamplingDefaults } from '../third-party/sampling-defaults.ts';

export function vllmCommand(launch: VllmLaunch, { host, port, key }: ListenAt): EngineCommand {
  const sampling = renderSamplingDefaults(launch.sampling);
  return {
    command: 'vllm',
    args: [
      'serve',
      launch.weightsPath,
      `--host=${host}`,
      `--port=${port}`,
      `--served-model-name=${launch.servedName}`,
      `--max-model-len=${launch.contextLength}`,
      `--max-num-seqs=${launch.concurrency}`,
      // vllm#12622: without it the repository's generation_config.json decides sampling.
      '--generation-config=vllm',
      ...(sampling === undefined ? [] : [`--override-generation-config=${sampling}`]),
      // An absolute size, because sleepers beside it change what is free. It overrides --gpu-memory-utilization.
      ...(launch.kvCacheBytes === undefined ? [] : [`--kv-cache-memory-bytes=${launch.kvCacheBytes}`]),
      ...(launch.sleep === 'Never' ? [] : ['--enable-sleep-mode']),
      '--disable-uvicorn-access-log',
      ...launch.args,
    ],
    variables: {
      // Read by the server instead of --api-key: arguments are open to every user and are logged.
      VLLM_API_KEY: key,
      // Sleep, wake and the calls beside them exist in this mode only (vLLM, docs/features/sleep_mode.md).
      ...(launch.sleep === 'Never' ? {} : { VLLM_SERVER_DEV_MODE: '1' }),
      HF_HUB_OFFLINE: '1',
      TRANSFORMERS_OFFLINE: '1',
      VLLM_NO_USAGE_STATS: '1',
      DO_NOT_TRACK: '1',
    },
  };
}
