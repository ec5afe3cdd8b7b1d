// Resolves a folder of weights to what a revision pins: absolute path, size, digest, and what its config.json says of it.
// Never starts an engine, never runs what lies in the folder and never changes it.
import { open } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { fail, ok } from '../lib/result.ts';
import type { WeightsError, WeightsResolver, WeightsResult } from '../ports/weights.ts';
import { EngineError } from './engine-error.ts';
import { createFileDigests, type FileDigests } from './file-digest.ts';
import { identifyFolder } from './weights-folder.ts';

const CONFIG_FILE = 'config.json';
const CONFIG_BYTES_MAX = 1024 * 1024;

const tokens = z.int().min(1).max(100_000_000);
/** What is read of a model's config.json; everything else in it is the engine's. */
const configSchema = z.object({
  architectures: z.array(z.string().min(1).max(128)).optional(),
  max_position_embeddings: tokens.optional().catch(undefined),
  // Of a model that takes more than text.
  text_config: z.object({ max_position_embeddings: tokens.optional() }).optional().catch(undefined),
  // With it the length follows from more than one figure, by rules of the engine's own.
  rope_scaling: z.unknown().optional(),
});

/** Digests of files are remembered in memory. Rejects only when `signal` aborts. */
export function createFolderWeights(digests: FileDigests = createFileDigests()): WeightsResolver {
  return {
    async resolve({ path: given, expectedSha256 }, signal) {
      const path = resolve(given);
      try {
        return await look(path, { expected: expectedSha256, digests }, signal);
      } catch (error) {
        signal.throwIfAborted();
        return fail(translate(path, error));
      }
    },
  };
}

async function look(
  path: string,
  { expected, digests }: { readonly expected: string | undefined; readonly digests: FileDigests },
  signal: AbortSignal,
): Promise<WeightsResult> {
  const config = configSchema.safeParse(await readConfig(path));
  if (!config.success) {
    return refuse('WeightsInvalid', `${join(path, CONFIG_FILE)} is not the description of a model.`);
  }
  const { sizeBytes, sha256 } = await identifyFolder(path, digests, signal);
  if (expected !== undefined && expected !== sha256) {
    return refuse('HashMismatch', `${path} has the digest ${sha256}, and ${expected} is asked for.`);
  }
  const { architectures, max_position_embeddings: own, text_config: text, rope_scaling: scaling } = config.data;
  const trainedContextLength = scaling ? undefined : (own ?? text?.max_position_embeddings);
  return ok({ path, sizeBytes, sha256, trainedContextLength, architecture: architectures?.[0] });
}

/** Undefined when it is no JSON. */
async function readConfig(folder: string): Promise<unknown> {
  const file = await open(join(folder, CONFIG_FILE));
  try {
    const buffer = Buffer.alloc(CONFIG_BYTES_MAX);
    const { bytesRead } = await file.read(buffer, 0, CONFIG_BYTES_MAX, 0);
    return JSON.parse(buffer.toString('utf8', 0, bytesRead));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  } finally {
    await file.close();
  }
}

function refuse(reason: WeightsError['reason'], message: string): WeightsResult {
  return fail({ reason, message });
}

const reasons: Readonly<Record<string, WeightsError['reason']>> = {
  WeightsMissing: 'WeightsMissing',
  WeightsUnreadable: 'WeightsUnreadable',
};

function translate(path: string, error: unknown): WeightsError {
  if (error instanceof EngineError) {
    return { reason: reasons[error.reason] ?? 'WeightsUnreadable', message: error.message };
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  if (code === 'ENOTDIR') return { reason: 'WeightsMissing', message: `${path} is a file, and a folder is needed.` };
  if (code === 'ENOENT')
    return { reason: 'WeightsMissing', message: `There is no folder ${path} with a ${CONFIG_FILE} in it.` };
  return { reason: 'WeightsUnreadable', message: `${path} cannot be read (${code}).` };
}
