// The probe: the likeliest tokens after a fixed prompt, alone and from an empty slot, with exact log-probabilities.
// The same weights on the same device give the same answer; damaged ones do not. Must never reuse earlier work.
import type { LoadedModel, Sequence } from './loaded-model.ts';
import type { ProbeAnswer } from './protocol.ts';
import { Refusal } from './refusal.ts';

export interface ProbeRequest {
  readonly prompt: readonly number[];
  /** How many tokens to give. */
  readonly tokens: number;
  /** Prompt tokens per computation, the same every time: another split could change the last digits. */
  readonly chunk: number;
}

const LOGPROB_DIGITS = 6;

/** Leaves the slot empty. */
export async function runProbe(sequence: Sequence, request: ProbeRequest): Promise<ProbeAnswer> {
  const tokenIds: number[] = [];
  const logprobs: string[] = [];
  await sequence.clear();
  let next = await readPrompt(sequence, request);
  while (tokenIds.length < request.tokens) {
    const scored = await sequence.score(next);
    tokenIds.push(scored.token);
    logprobs.push(scored.logprob.toFixed(LOGPROB_DIGITS));
    next = [scored.token];
  }
  await sequence.clear();
  return { tokenIds, logprobs };
}

/** Computes all but the last chunk and gives the last one back. */
async function readPrompt(sequence: Sequence, { prompt, chunk }: ProbeRequest): Promise<readonly number[]> {
  let read = 0;
  while (prompt.length - read > chunk) {
    await sequence.read(prompt.slice(read, read + chunk));
    read += chunk;
  }
  return prompt.slice(read);
}

/** The first token of all: it touches every weight, so that the first caller does not wait for the file. */
export async function warmUp(model: LoadedModel): Promise<void> {
  const [sequence] = model.sequences;
  const [first] = model.tokenize('a');
  if (sequence === undefined || first === undefined) {
    throw new Refusal(
      'model_failed',
      'The model file has no usable vocabulary: it could not turn one letter into a token.',
    );
  }
  await runProbe(sequence, { prompt: [first], tokens: 1, chunk: 1 });
}
