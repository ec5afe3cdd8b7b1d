// What is read of a model's config.json; everything else in it is the engine's. Pure.
import { z } from 'zod';
import { parseJson } from '../lib/json-text.ts';

export const CONFIG_FILE = 'config.json';
export const CONFIG_BYTES_MAX = 1024 * 1024;

export interface ModelDescription {
  /** Tokens that the model was trained for; undefined when the file does not say it in so many words. */
  readonly trainedContextLength?: number | undefined;
  /** The first of `architectures`. */
  readonly architecture?: string | undefined;
}

const tokens = z.int().min(1).max(100_000_000);
const configSchema = z.object({
  architectures: z.array(z.string().min(1).max(128)).optional(),
  max_position_embeddings: tokens.optional().catch(undefined),
  // Of a model that takes more than text.
  text_config: z.object({ max_position_embeddings: tokens.optional() }).optional().catch(undefined),
  // With it the length follows from more than one figure, by rules of the engine's own.
  rope_scaling: z.unknown().optional(),
});

/** Undefined when the text is not the description of a model. */
export function readModelConfig(text: string): ModelDescription | undefined {
  const config = configSchema.safeParse(parseJson(text));
  if (!config.success) return undefined;
  const { architectures, max_position_embeddings: own, text_config: inner, rope_scaling: scaling } = config.data;
  const trainedContextLength = scaling ? undefined : (own ?? inner?.max_position_embeddings);
  return { trainedContextLength, architecture: architectures?.[0] };
}
