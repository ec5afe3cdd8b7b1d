// Whether an engine answers the probe as it did at its first verified start. Pure. Health checks do not see weights that a
// wake has corrupted; this does.
import type { ProbeSample } from '../api/model-revision.ts';

/** Undefined when the answers agree; otherwise what differs, as a sentence. */
export function compareProbe(expected: ProbeSample, found: ProbeSample, toleranceNats: number): string | undefined {
  if (found.tokenIds.length !== expected.tokenIds.length || found.logprobs.length !== expected.logprobs.length) {
    return `The probe gave ${found.tokenIds.length} tokens, and ${expected.tokenIds.length} are expected.`;
  }
  for (const [index, token] of expected.tokenIds.entries()) {
    if (found.tokenIds[index] !== token) {
      return `The probe's token ${index + 1} is ${String(found.tokenIds[index])}, and ${token} is expected.`;
    }
  }
  for (const [index, text] of expected.logprobs.entries()) {
    const difference = Math.abs(Number(found.logprobs[index]) - Number(text));
    // Written so that a value that is no number fails as well.
    if (!(difference <= toleranceNats)) {
      return `The probe's log-probability ${index + 1} is ${String(found.logprobs[index])}, and ${text} ± ${toleranceNats} is expected.`;
    }
  }
  return undefined;
}

/** A sample that can be kept: token ids with as many log-probabilities, all of them numbers. */
export function isWholeSample(sample: ProbeSample): boolean {
  const { tokenIds, logprobs } = sample;
  return tokenIds.length > 0 && tokenIds.length === logprobs.length && logprobs.every((text) => isLogprob(text));
}

function isLogprob(text: string): boolean {
  return text.trim() !== '' && Number.isFinite(Number(text)) && Number(text) <= 0;
}
