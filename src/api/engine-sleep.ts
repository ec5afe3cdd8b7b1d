// Which configurations of engines that are not ours are known to survive sleep and wake, and which are known not to, as data
// with sources. What neither list names is unknown: it sleeps only when its Model says so. The probe after every wake is what
// finally decides; this table only saves the failures that others have had. Pure.
import { argumentValue, type ThirdPartyEngine } from './engine-arguments.ts';

export interface SleepFacts {
  readonly engine: ThirdPartyEngine;
  readonly args: readonly string[];
  /** The first of `architectures` in config.json, when it is known. */
  readonly architecture?: string | undefined;
}

export type SleepVerdict = 'Survives' | 'Breaks' | 'Unknown';

interface SleepRow {
  readonly engine: ThirdPartyEngine;
  readonly verdict: 'Survives' | 'Breaks';
  /** Both when left out. */
  readonly level?: 1 | 2;
  /** All when left out. */
  readonly architectures?: readonly string[];
  /** Only with an 8-bit cache of keys and values. */
  readonly withFp8Cache?: true;
  /** Only with `--quantization`. */
  readonly withQuantization?: true;
  readonly why: string;
  readonly sources: readonly string[];
}

const stateful = [
  'BambaForCausalLM',
  'FalconH1ForCausalLM',
  'FalconMambaForCausalLM',
  'GraniteMoeHybridForCausalLM',
  'JambaForCausalLM',
  'KimiLinearForCausalLM',
  'Lfm2ForCausalLM',
  'Mamba2ForCausalLM',
  'MambaForCausalLM',
  'MiniMaxText01ForCausalLM',
  'NemotronHForCausalLM',
  'Plamo2ForCausalLM',
  'Qwen3NextForCausalLM',
  'Zamba2ForCausalLM',
];

/** The first row that fits decides. */
export const sleepRows: readonly SleepRow[] = [
  {
    engine: 'LlamaServer',
    verdict: 'Breaks',
    why: 'It sleeps by itself when it was idle (--sleep-idle-seconds) and cannot be ordered to.',
    sources: ['llama.cpp#18228'],
  },
  {
    engine: 'Vllm',
    verdict: 'Breaks',
    withFp8Cache: true,
    why: 'The scales of the 8-bit cache are lost or reset at the wake, or the wake fails and leaves the engine hanging.',
    sources: ['vllm#25800', 'vllm#45617', 'vllm#49237'],
  },
  {
    engine: 'Vllm',
    verdict: 'Breaks',
    architectures: stateful,
    why: 'Recurrent state is mapped again with undefined contents, or the wake fails.',
    sources: ['vllm#41563', 'vllm#44972', 'vllm#48310'],
  },
  {
    engine: 'Vllm',
    verdict: 'Survives',
    level: 1,
    architectures: ['LlamaForCausalLM', 'Qwen3ForCausalLM', 'Qwen3MoeForCausalLM'],
    why: 'Level 1 copies the bytes of the weights to memory and back. Tested by vLLM and measured in its article of 2025-10-26.',
    sources: ['vllm tests/basic_correctness/test_mem.py', 'vllm-project.github.io _posts/2025-10-26-sleep-mode.md'],
  },
  {
    engine: 'Sglang',
    verdict: 'Breaks',
    level: 2,
    withQuantization: true,
    why: 'Weights that were transformed at the load cannot be loaded once more in place.',
    sources: ['sglang#6367', 'sglang#19442'],
  },
];

/** Level 2 of vLLM is unknown for all models: some answered nonsense after it (vllm#29341). */
export function sleepVerdict(facts: SleepFacts, level: 1 | 2): SleepVerdict {
  return sleepRows.find((row) => isAbout(row, facts, level))?.verdict ?? 'Unknown';
}

function isAbout(row: SleepRow, { engine, args, architecture }: SleepFacts, level: 1 | 2): boolean {
  if (row.engine !== engine || (row.level !== undefined && row.level !== level)) return false;
  if (row.architectures !== undefined && !row.architectures.includes(architecture ?? '')) return false;
  if (row.withFp8Cache === true && !(argumentValue(args, 'kv-cache-dtype') ?? '').startsWith('fp8')) return false;
  return row.withQuantization !== true || argumentValue(args, 'quantization') !== undefined;
}

/** What `serving.sleep: Auto` means for such an engine. */
export function autoSleepOf(facts: SleepFacts): 'Level1' | 'Never' {
  return sleepVerdict(facts, 1) === 'Survives' ? 'Level1' : 'Never';
}

/** Whether a launch may sleep: what is known to break never does, whatever its Model says. */
export function survivesSleep(launch: SleepFacts & { readonly sleep: 'Level1' | 'Level2' | 'Never' }): boolean {
  return launch.sleep !== 'Never' && sleepVerdict(launch, launch.sleep === 'Level1' ? 1 : 2) !== 'Breaks';
}
