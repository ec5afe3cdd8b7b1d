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

function readSteps(seen: AnswerSeen): Step[] {
  const { promptTokens, cachedTokens, outputTokens, firstMs, totalMs, sequences } = seen;
  if (outputTokens < TOKENS_MIN || totalMs <= 0) return [];
  const readTokens = Math.max(0, promptTokens - cachedTokens);
  if (firstMs === undefined) return [meanStep({ readTokens, outputTokens, totalMs, sequences })];
  if (firstMs <= 0 || totalMs <= firstMs) return [];
  // The time to the first token is about one step that reads the prompt; each further token is a step that reads none.
  const writeMs = (totalMs - firstMs) / (outputTokens - 1);
  return [
    { sequences: Math.max(0, sequences - 1), promptTokens: readTokens, stepMs: firstMs },
    { sequences, promptTokens: 0, stepMs: writeMs },
  ];
}

interface WholeAnswer extends Pick<AnswerSeen, 'outputTokens' | 'totalMs' | 'sequences'> {
  readonly readTokens: number;
}

/**
 * Nobody saw when the prompt of a whole answer was read: one step of as many as it has tokens reads its share of the prompt. The
 * others at the instance have prompts, too. They are taken for like it, or what reading theirs took would count as writing.
 */
function meanStep({ readTokens, outputTokens, totalMs, sequences }: WholeAnswer): Step {
  return {
    sequences,
    promptTokens: Math.round((sequences * readTokens) / outputTokens),
    stepMs: totalMs / outputTokens,
  };
}
