// What answers tell of a model's engine, kept until the controller is told: tokens of answers and times of steps. Samples only:
// what does not fit is left out, and nothing is kept of who asked or of what was said.
import { DEMAND_SAMPLES_MAX, type ModelDemand } from '../../api/link.ts';

export interface AnswerSeen {
  readonly promptTokens: number;
  /** Of the prompt, what the engine had already. */
  readonly cachedTokens: number;
  readonly outputTokens: number;
  /** From the grant to the first content and to the end; no first for an answer that came whole. */
  readonly firstMs: number | undefined;
  readonly totalMs: number;
  /** Requests that this router had at the instance, this one included. */
  readonly sequences: number;
}

type Samples = Pick<ModelDemand, 'answeredTokens' | 'steps'>;
type Step = NonNullable<ModelDemand['steps']>[number];

export interface DemandSamples {
  add(seen: AnswerSeen): void;
  /** Everything since the last time; what is taken is gone. */
  take(): Samples;
}

export function createDemandSamples(): DemandSamples {
  let answered: number[] = [];
  let steps: Step[] = [];
  return {
    add(seen) {
      if (answered.length < DEMAND_SAMPLES_MAX) answered.push(seen.outputTokens);
      for (const step of readSteps(seen)) if (steps.length < DEMAND_SAMPLES_MAX) steps.push(step);
    },
    take() {
      const taken: Samples = {
        ...(answered.length === 0 ? {} : { answeredTokens: answered }),
        ...(steps.length === 0 ? {} : { steps }),
      };
      answered = [];
      steps = [];
      return taken;
    },
  };
}

/** Shorter answers say more about the network than about the engine. */
const TOKENS_MIN = 8;

/** The time to the first token is about one step that reads the prompt; each further token is a step that reads none. */
function readSteps({ promptTokens, cachedTokens, outputTokens, firstMs, totalMs, sequences }: AnswerSeen): Step[] {
  if (firstMs === undefined || firstMs <= 0 || outputTokens < TOKENS_MIN || totalMs <= firstMs) return [];
  const writeMs = (totalMs - firstMs) / (outputTokens - 1);
  return [
    { sequences: Math.max(0, sequences - 1), promptTokens: Math.max(0, promptTokens - cachedTokens), stepMs: firstMs },
    { sequences, promptTokens: 0, stepMs: writeMs },
  ];
}
