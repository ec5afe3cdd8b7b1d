// How much of each accelerator an engine may take for keys and values, so that those who sleep beside it can stay. Pure. A figure
// for the next start alone: it is no part of a revision, and nothing is started again because of it.

export interface KvFacts {
  /** Memory of one accelerator. */
  readonly acceleratorBytes: number;
  /** All of the weights, as they lie on disk. */
  readonly weightsBytes: number;
  /** Further arguments of the engine: they say among how many accelerators the weights are divided. */
  readonly args: readonly string[];
  /** Instances that may be asleep beside it. */
  readonly sleepersMax: number;
}

const GIB = 1024 ** 3;
// Both figures are guesses from what others report, to be replaced once they are measured.
/** What a sleeper keeps on each accelerator: its context and its graphs (about 1.1 GB with vLLM 0.13, vllm#32714). */
const RESIDUE_BYTES = 1.25 * GIB;
/** What engines leave alone by default (8 %), and room for activations and captured graphs. */
const WORKING_SHARE = 0.12;
const WORKING_BYTES_MIN = 2 * GIB;
/** Less serves nobody: then the engine finds out by itself, and says what it lacks. */
const KV_BYTES_MIN = GIB / 4;

/** Undefined when no room is left by this reckoning. */
export function planKvBytes({ acceleratorBytes, weightsBytes, args, sleepersMax }: KvFacts): number | undefined {
  const working = Math.max(WORKING_BYTES_MIN, acceleratorBytes * WORKING_SHARE);
  const left = acceleratorBytes - working - weightsShare(weightsBytes, args) - sleepersMax * RESIDUE_BYTES;
  return left < KV_BYTES_MIN ? undefined : Math.floor(left);
}

/** The part of an accelerator that weights, keys and values take together, in thousandths. */
export function planStaticPermille(facts: KvFacts): number | undefined {
  const kvBytes = planKvBytes(facts);
  if (kvBytes === undefined) return undefined;
  const share = (kvBytes + weightsShare(facts.weightsBytes, facts.args)) / facts.acceleratorBytes;
  return Math.floor(1000 * share);
}

function weightsShare(weightsBytes: number, args: readonly string[]): number {
  return weightsBytes / (numberOf(args, 'tensor-parallel-size') * numberOf(args, 'pipeline-parallel-size'));
}

function numberOf(args: readonly string[], flag: string): number {
  const given = args.find((argument) => argument.startsWith(`--${flag}=`));
  const value = Number(given?.slice(given.indexOf('=') + 1) ?? 1);
  return Number.isInteger(value) && value > 0 ? value : 1;
}
