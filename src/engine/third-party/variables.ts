// Which variables of our own environment an engine that is not ours may see: where its libraries, caches and devices are, and
// what its image sets for it. Never a token, a key or a proxy. Pure.
import type { Environment } from '../process-group.ts';

/** Beyond those that every engine gets. */
const names: ReadonlySet<string> = new Set([
  'CPATH',
  'HF_HOME',
  'LIBRARY_PATH',
  'LOGNAME',
  'OMP_NUM_THREADS',
  'PYTHONPATH',
  'USER',
  'VIRTUAL_ENV',
  'XDG_CACHE_HOME',
]);
const prefixes = [
  'CUDA_',
  'FLASHINFER_',
  'GGML_',
  'GLOO_',
  'HIP_',
  'NCCL_',
  'NVIDIA_',
  'PYTORCH_',
  'ROCM_',
  'ROCR_',
  'SGLANG_',
  'TORCHINDUCTOR_',
  'TORCH_',
  'TRITON_',
  'VLLM_',
];
const secretLike = /KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL/;

export function selectVariables(environment: Environment): Record<string, string> {
  const selected: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    const isKnown = names.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
    if (value !== undefined && isKnown && !secretLike.test(name)) selected[name] = value;
  }
  return selected;
}
