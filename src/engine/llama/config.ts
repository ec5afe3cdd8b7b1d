// The configuration of one model server process: the first line on its standard input.
// Decides what is valid and every default; must never read the environment or the disk.
import { z } from 'zod';
import { fail, ok, type Result } from '../../lib/result.ts';

/** A longer first line is refused, so that a wrong parent cannot fill the memory. */
export const CONFIG_LINE_BYTES_MAX = 64 * 1024;
/** Tokens of prompt per step. On a CPU a longer chunk makes neighbours wait; a GPU needs more to be busy. */
const PREFILL_CHUNK_CPU = 128;
const PREFILL_CHUNK_GPU = 512;

/** Decimal strings are how objects carry fractions (no floats in the API); plain numbers are taken as well. */
const decimal = (low: number, high: number) =>
  z
    .union([z.number(), z.string().regex(/^(0|[1-9][0-9]{0,3})(\.[0-9]{1,6})?$/)])
    .transform(Number)
    .pipe(z.number().min(low).max(high));

const samplingDefaultsSchema = z.object({
  temperature: decimal(0, 2).optional(),
  topP: decimal(0, 1).optional(),
  topK: z.int().min(1).max(1000).optional(),
  minP: decimal(0, 1).optional(),
});

export const serverConfigSchema = z.object({
  /** Who this process is, for logs: `<podUID>/<revision>/<incarnation>`. */
  instance: z.string().min(1).max(256),
  modelPath: z.string().min(1).max(4096),
  servedName: z.string().min(1).max(128),
  /** Tokens of prompt and answer together, per request. */
  contextLength: z.int().min(16).max(1_048_576),
  /** Requests that run at once: the number of slots, held for the life of the loaded model. */
  concurrency: z.int().min(1).max(256),
  /** Requests that wait at most; the next one is told 429. Default: twice the concurrency. */
  queueMax: z.int().min(0).max(4096).optional(),
  /** Tokens that one decode takes at most, over all slots. */
  batchSize: z.int().min(32).max(16_384).default(512),
  /** Prompt tokens that one step takes at most, over all slots. */
  prefillChunk: z.int().min(1).max(16_384).optional(),
  /** Threads that compute. They spin: more than the free cores makes everything far slower. */
  threads: z.int().min(1).max(512),
  gpu: z.union([z.literal(false), z.enum(['cuda', 'vulkan', 'metal'])]),
  /** What every caller must present as its bearer token. */
  key: z.string().min(16).max(512),
  /** After SIGTERM running requests may go on for this long. */
  drainMs: z.int().min(0).max(3_600_000),
  /** Defaults of the revision; what a request says goes first. */
  sampling: samplingDefaultsSchema.optional(),
});

export type ServerConfig = z.infer<typeof serverConfigSchema>;
/** What the parent writes: defaults may be left out. */
export type ServerConfigInput = z.input<typeof serverConfigSchema>;
export type SamplingDefaults = z.infer<typeof samplingDefaultsSchema>;

/** Parses the first line. The error is a sentence that names the field and never repeats a value (one of them is the key). */
export function parseServerConfig(line: string): Result<ServerConfig, string> {
  return parseConfigLine(serverConfigSchema, line);
}

export function parseConfigLine<Config>(schema: z.ZodType<Config>, line: string): Result<Config, string> {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch {
    return fail('The configuration line is not JSON: write one JSON object and a line feed to standard input.');
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return ok(parsed.data);
  const issue = parsed.error.issues[0];
  const field = issue?.path.join('.') || 'the whole line';
  return fail(`The configuration is wrong at ${field}: ${issue?.code ?? 'invalid'}.`);
}

/** Prompt tokens per step. Leaves room in the decode for one token of every slot, so that a step is always one decode. */
export function prefillChunkOf(config: ServerConfig): number {
  const wanted = config.prefillChunk ?? (config.gpu === false ? PREFILL_CHUNK_CPU : PREFILL_CHUNK_GPU);
  return Math.max(1, Math.min(wanted, config.batchSize - config.concurrency));
}

export function queueMaxOf(config: ServerConfig): number {
  return config.queueMax ?? 2 * config.concurrency;
}
