// What the controller has learned of a Model, as it is kept in a ConfigMap: the schema, and reading and writing the text. The text
// may be anybody's by the time it is read, so every figure has bounds. Must never hold what a caller said.
import { z } from 'zod';
import { parseJsonObject } from '../lib/json-text.ts';
import { fail, ok, type Result } from '../lib/result.ts';

export const LEARNED_VERSION = 2;
/** Without the weeks, which then begin empty. */
const VERSION_WITHOUT_WEEKS = 1;
/** Of one Model (DESIGN §3). */
export const LEARNED_BYTES_MAX = 65_536;
/** The key in the data of the ConfigMap. */
export const LEARNED_KEY = 'learned.json';

export function learnedName(model: string): string {
  return `${model}-learned`;
}

/** Bins of idle gaps (src/core/plan/pool/idle-gaps.ts). */
export const GAP_BINS = 18;

/** Hours of work that are kept (src/core/plan/scale/forecast.ts), and the most that one of them can be. */
export const WORK_HOURS = 504;
export const WORK_HOUR_MAX = 999_999;

const count = z.number().min(0).max(1e12);
const ms = z.number().min(0).max(1e10);
const positiveMs = z.number().gt(0).max(1e9);
const climb = z.object({ usualMs: ms, slowMs: ms, seen: count });

const weeksSchema = z.object({
  /** Since 1970; 0: nothing is known. */
  hour: z.int().min(0).max(1e9),
  /** Of the hour that is not over. */
  watchedMs: ms,
  workMs: z.number().min(0).max(1e15),
  /** Of the hours before it, the last one last, in hundredths of a replica; -1: not watched. */
  past: z.array(z.int().min(-1).max(WORK_HOUR_MAX)).max(WORK_HOURS).readonly(),
});
export type WorkWeeks = Readonly<z.infer<typeof weeksSchema>>;

const memorySchema = z.object({
  scaler: z.object({
    cost: z.object({
      cost: z.object({ stepMs: positiveMs, perSequenceMs: positiveMs, perPromptTokenMs: positiveMs }),
      spread: z.array(z.number().min(-1e9).max(1e9)).length(6).readonly(),
      errorMs: ms,
      samples: count,
      outliers: count,
    }),
    output: z.object({ meanTokens: count, weight: z.number().gt(0).max(1e9) }),
    climbs: z.object({ Staged: climb, Asleep: climb }),
    longPromptTokens: count,
  }),
  gaps: z.object({ counts: z.array(count).length(GAP_BINS).readonly() }),
  weeks: weeksSchema.default({ hour: 0, watchedMs: 0, workMs: 0, past: [] }),
});
export type LearnedMemory = z.infer<typeof memorySchema>;

const learnedSchema = z.object({ memory: memorySchema });
const versions: readonly unknown[] = [LEARNED_VERSION, VERSION_WITHOUT_WEEKS];

export function renderLearned(memory: LearnedMemory): string {
  return JSON.stringify({ version: LEARNED_VERSION, memory });
}

/** The error says what is wrong with the text, for people. */
export function parseLearned(text: string): Result<LearnedMemory, string> {
  if (Buffer.byteLength(text) > LEARNED_BYTES_MAX) return fail(`it has more than ${LEARNED_BYTES_MAX} bytes`);
  const found = parseJsonObject(text);
  if (found === undefined) return fail('it is no JSON object');
  if (!versions.includes(found.version)) return fail(`its version is not ${LEARNED_VERSION}, and no earlier one`);
  const parsed = learnedSchema.safeParse(found);
  if (parsed.success) return ok(parsed.data.memory);
  return fail(`${parsed.error.issues[0]?.path.join('.') ?? 'it'} is not as it was written`);
}
