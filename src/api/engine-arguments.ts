// The command-line arguments that a version may give to an engine that is not ours: one closed list per engine, as data.
// What Stoker sets itself, what opens files, addresses or code, and what is not listed is refused. Pure.
import { z } from 'zod';

/** Engines that are programs of others, started by command line in the slot. */
export const thirdPartyEngines = ['Vllm', 'Sglang', 'LlamaServer'] as const;
export type ThirdPartyEngine = (typeof thirdPartyEngines)[number];

export function isThirdParty(engine: string): engine is ThirdPartyEngine {
  return (thirdPartyEngines as readonly string[]).includes(engine);
}

/** These load a folder; every other engine in a slot opens one file. */
export const folderEngines = ['Vllm', 'Sglang'] as const;

export function loadsFolder(engine: string): boolean {
  return (folderEngines as readonly string[]).includes(engine);
}

const ARGUMENT_CHARS_MAX = 128;
export const ARGUMENTS_MAX = 32;

/** `--flag` or `--flag=value`. A value is a word or a number: never a path, an address or JSON. */
export const engineArgumentSchema = z
  .string()
  .max(ARGUMENT_CHARS_MAX)
  .regex(
    /^--[a-z][a-z0-9-]*(=[A-Za-z0-9_.,:+-]+)?$/,
    'must be --flag or --flag=value, where the value is a word or a number',
  );

type Value = 'none' | 'number' | 'share' | 'word' | 'numbers';

const valuePatterns: Readonly<Record<Value, string>> = {
  none: '',
  number: '=-?[0-9]{1,10}',
  share: '=0?[.][0-9]{1,4}',
  word: '=[A-Za-z0-9_.:+-]{1,64}',
  numbers: '=[0-9.]{1,8}(,[0-9.]{1,8}){0,15}',
};

const vllm: Readonly<Record<string, Value>> = {
  'async-scheduling': 'none',
  'attention-backend': 'word',
  'block-size': 'number',
  'config-format': 'word',
  'cpu-offload-gb': 'number',
  'disable-custom-all-reduce': 'none',
  dtype: 'word',
  'enable-auto-tool-choice': 'none',
  'enable-chunked-prefill': 'none',
  'enable-expert-parallel': 'none',
  'enable-prefix-caching': 'none',
  'enforce-eager': 'none',
  'gpu-memory-utilization': 'share',
  'kv-cache-dtype': 'word',
  'load-format': 'word',
  'max-logprobs': 'number',
  'max-num-batched-tokens': 'number',
  'no-enable-chunked-prefill': 'none',
  'no-enable-prefix-caching': 'none',
  'pipeline-parallel-size': 'number',
  quantization: 'word',
  'reasoning-parser': 'word',
  seed: 'number',
  'tensor-parallel-size': 'number',
  'tokenizer-mode': 'word',
  'tool-call-parser': 'word',
};

const sglang: Readonly<Record<string, Value>> = {
  'attention-backend': 'word',
  'chunked-prefill-size': 'number',
  'cuda-graph-max-bs': 'number',
  'disable-cuda-graph': 'none',
  'disable-custom-all-reduce': 'none',
  'disable-radix-cache': 'none',
  dtype: 'word',
  'enable-torch-compile': 'none',
  'expert-parallel-size': 'number',
  'kv-cache-dtype': 'word',
  'load-format': 'word',
  'max-prefill-tokens': 'number',
  'mem-fraction-static': 'share',
  'page-size': 'number',
  quantization: 'word',
  'random-seed': 'number',
  'reasoning-parser': 'word',
  'sampling-backend': 'word',
  'schedule-policy': 'word',
  'tensor-parallel-size': 'number',
  'tokenizer-mode': 'word',
  'tool-call-parser': 'word',
};

const llamaServer: Readonly<Record<string, Value>> = {
  'batch-size': 'number',
  'cache-reuse': 'number',
  'cache-type-k': 'word',
  'cache-type-v': 'word',
  'chat-template': 'word',
  'cpu-moe': 'none',
  'flash-attn': 'word',
  jinja: 'none',
  'main-gpu': 'number',
  mlock: 'none',
  'n-cpu-moe': 'number',
  'n-gpu-layers': 'word',
  'no-jinja': 'none',
  'no-kv-offload': 'none',
  'no-mmap': 'none',
  'reasoning-budget': 'number',
  'reasoning-format': 'word',
  'split-mode': 'word',
  'swa-full': 'none',
  'tensor-split': 'numbers',
  threads: 'number',
  'threads-batch': 'number',
  'ubatch-size': 'number',
};

export const engineArguments: Readonly<Record<ThirdPartyEngine, Readonly<Record<string, Value>>>> = {
  Vllm: vllm,
  Sglang: sglang,
  LlamaServer: llamaServer,
};

/** What an argument of this engine must match whole. The syntax is RE2's as well, so that a rule in CEL can use it. */
export function argumentPattern(engine: ThirdPartyEngine): string {
  const flags = Object.entries(engineArguments[engine]).map(([flag, value]) => `${flag}${valuePatterns[value]}`);
  return `^--(${flags.join('|')})$`;
}

const patterns = Object.fromEntries(
  thirdPartyEngines.map((engine) => [engine, new RegExp(argumentPattern(engine))]),
) as Readonly<Record<ThirdPartyEngine, RegExp>>;

/** Why one of these arguments may not be given, as a sentence that begins with it; undefined when all may. */
export function refuseArguments(engine: ThirdPartyEngine, args: readonly string[]): string | undefined {
  const seen = new Set<string>();
  for (const argument of args) {
    const flag = flagOf(argument);
    if (seen.has(flag)) return `--${flag} is there twice.`;
    seen.add(flag);
    if (patterns[engine].test(argument)) continue;
    const value = Object.hasOwn(engineArguments[engine], flag) ? engineArguments[engine][flag] : undefined;
    if (value === undefined) return `--${flag} is not an argument that ${engine} may be given here.`;
    return value === 'none' ? `--${flag} takes no value.` : `--${flag} needs ${describe(value)} after =.`;
  }
  return undefined;
}

/** The value of a flag; an empty text when it has none; undefined when it is not there. */
export function argumentValue(args: readonly string[], flag: string): string | undefined {
  const found = args.find((argument) => flagOf(argument) === flag);
  return found === undefined ? undefined : found.slice(flag.length + 3);
}

function flagOf(argument: string): string {
  return argument.slice(2).split('=', 1)[0] ?? '';
}

function describe(value: Exclude<Value, 'none'>): string {
  const names = {
    number: 'a whole number',
    share: 'a share such as 0.85',
    word: 'a word',
    numbers: 'numbers with commas',
  };
  return names[value];
}
