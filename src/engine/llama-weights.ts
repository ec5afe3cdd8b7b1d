// Resolves a GGUF file to what a revision pins: absolute path, size, digest and trained context length.
// Never starts an engine and never changes the file.
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fail, ok } from '../lib/result.ts';
import type { WeightsError, WeightsResolver, WeightsResult } from '../ports/weights.ts';
import { createFileDigests, FileChanged } from './file-digest.ts';
import { GgufError, readGgufHeader, trainedContextLength } from './gguf.ts';

/** Digests are remembered in memory, and in `cacheFile` when one is given. Rejects only when `signal` aborts. */
export function createLlamaWeights(options: { cacheFile?: string } = {}): WeightsResolver {
  const digests = createFileDigests(options.cacheFile);
  const look = async (path: string, expected: string | undefined, signal: AbortSignal): Promise<WeightsResult> => {
    const header = await readGgufHeader(path, signal);
    const contextLength = trainedContextLength(header);
    if (contextLength === undefined) {
      return refuse('WeightsInvalid', `${path} does not say what context length the model was trained for.`);
    }
    // Before the digest, which takes its time with a large file.
    const { size } = await stat(path);
    if (size < header.fileBytesMin) {
      const message = `${path} was cut: it has ${size} bytes, and its tensors need more than ${header.fileBytesMin - 1}. Copy or download it again.`;
      return refuse('WeightsInvalid', message);
    }
    const { sizeBytes, sha256 } = await digests.digest(path, signal);
    if (expected !== undefined && expected !== sha256) {
      return refuse('HashMismatch', `${path} has sha256 ${sha256}, and ${expected} is asked for.`);
    }
    return ok({ path, sizeBytes, sha256, trainedContextLength: contextLength });
  };
  return {
    async resolve({ path: given, expectedSha256 }, signal) {
      const path = resolve(given);
      try {
        return await look(path, expectedSha256, signal);
      } catch (error) {
        signal.throwIfAborted();
        return fail(translate(path, error));
      }
    },
  };
}

function refuse(reason: WeightsError['reason'], message: string): WeightsResult {
  return fail({ reason, message });
}

function translate(path: string, error: unknown): WeightsError {
  if (error instanceof GgufError) return { reason: 'WeightsInvalid', message: `${path} ${error.message}.` };
  if (error instanceof FileChanged) return { reason: 'WeightsUnreadable', message: error.message };
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return { reason: 'WeightsMissing', message: `There is no file ${path}.` };
  return { reason: 'WeightsUnreadable', message: `${path} cannot be read (${code}).` };
}
