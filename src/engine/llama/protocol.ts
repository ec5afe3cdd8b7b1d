// What a model server process tells its parent: lines on standard output and the answers of its own HTTP paths.
// Both sides import this module; it must never import anything that runs a model.
import { z } from 'zod';

export const serverStates = ['loading', 'ready', 'sleeping', 'asleep', 'waking', 'failed'] as const;
export type ServerState = (typeof serverStates)[number];

/** Whole milliseconds of each phase of the last load. */
export const loadPhasesSchema = z.object({
  /** From the start of the process until its HTTP answered; on a wake 0. */
  startedMs: z.int().min(0),
  /** Opening the native library and the file, and making the context. */
  loadedMs: z.int().min(0),
  /** The first token, which touches every weight. */
  warmedMs: z.int().min(0),
});
export type LoadPhases = z.infer<typeof loadPhasesSchema>;

/** One line on standard output. Other lines are not from us and are to be ignored. */
export const serverLineSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('listening'), port: z.int().min(1).max(65_535) }),
  z.object({
    type: z.literal('state'),
    state: z.enum(serverStates),
    /** Why it failed: a sentence. */
    reason: z.string().optional(),
    phases: loadPhasesSchema.optional(),
    /** Share of the file that is loaded, 0 to 1. With a mapped file it jumps to 1 at the end. */
    progress: z.number().min(0).max(1).optional(),
  }),
]);
export type ServerLine = z.infer<typeof serverLineSchema>;

/** GET /health. */
export const healthAnswerSchema = z.object({
  state: z.enum(serverStates),
  draining: z.boolean(),
  /** Steps begun since the process started. */
  batches: z.int().min(0),
  /** How long the step that runs has taken; 0 between steps. One that goes on and on has hung. */
  stepMs: z.number().min(0),
  /** Slots that work. */
  busy: z.int().min(0),
  queued: z.int().min(0),
  /** Accelerator memory that the process holds, where it knows. */
  acceleratorBytes: z.int().min(0).optional(),
});
export type HealthAnswer = z.infer<typeof healthAnswerSchema>;

/** GET /ready: 200 when requests are served, else 503 with the same body. */
export const readyAnswerSchema = z.object({
  ready: z.boolean(),
  state: z.enum(serverStates),
  draining: z.boolean(),
  progress: z.number().optional(),
  reason: z.string().optional(),
});
export type ReadyAnswer = z.infer<typeof readyAnswerSchema>;

/** POST /sleep and POST /wake_up. `phases` only from a wake. */
export const movedAnswerSchema = z.object({ tookMs: z.int().min(0), phases: loadPhasesSchema.optional() });
export type MovedAnswer = z.infer<typeof movedAnswerSchema>;

/** POST /probe: token ids and their natural log-probabilities as decimal text with six digits. */
export const probeAnswerSchema = z.object({ tokenIds: z.array(z.int().min(0)), logprobs: z.array(z.string()) });
export type ProbeAnswer = z.infer<typeof probeAnswerSchema>;

/** GET /identity. `model` is null until the file was loaded once. */
export const identityAnswerSchema = z.object({
  engine: z.enum(['llama', 'sim']),
  /** Hash of the library's version and of how its binary was built: the same on every machine with the same install. */
  build: z.string().regex(/^[0-9a-f]{32}$/),
  model: z
    .object({
      architecture: z.string(),
      contextTrained: z.int().min(0),
      chatTemplateSha256: z.string().nullable(),
      vocabulary: z.object({ kind: z.string(), tokens: z.int().min(0) }),
    })
    .nullable(),
});
export type IdentityAnswer = z.infer<typeof identityAnswerSchema>;
export type ModelIdentity = NonNullable<IdentityAnswer['model']>;
