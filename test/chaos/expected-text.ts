// What an undamaged simulated model answers to a prompt at temperature 0: the measure for every answer that came through.

import { greedySampling } from '../../src/engine/llama/sampling.ts';
import { composeAnswer } from '../../src/engine/sim/answer.ts';
import { describeQuestion } from '../../src/engine/sim/question.ts';
import { textOf } from '../../src/engine/sim/vocabulary.ts';

export function expectedText(seed: number, prompt: string, tokensMax: number): string {
  const question = describeQuestion([{ role: 'user', text: prompt }], greedySampling);
  const { tokens } = composeAnswer({ seed, damage: undefined, question }, tokensMax);
  return tokens.map((token, at) => textOf(token, at === 0)).join('');
}
