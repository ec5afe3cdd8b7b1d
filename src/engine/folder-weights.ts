// Resolves a folder of weights to what a revision pins: absolute path, size, digest, and what its config.json says of it.
// Never starts an engine, never runs what lies in the folder and never changes it.
import { open } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { CONFIG_BYTES_MAX, CONFIG_FILE, readModelConfig } from '../api/model-config.ts';
import { fail, ok } from '../lib/result.ts';
import type { WeightsError, WeightsResolver, WeightsResult } from '../ports/weights.ts';
import { EngineError } from './engine-error.ts';
import { createFileDigests, type FileDigests } from './file-digest.ts';
import { identifyFolder } from './weights-folder.ts';

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
  const description = readModelConfig(await readConfig(path));
  if (description === undefined) {
    return refuse('WeightsInvalid', `${join(path, CONFIG_FILE)} is not the description of a model.`);
  }
  const { sizeBytes, sha256 } = await identifyFolder(path, digests, signal);
  if (expected !== undefined && expected !== sha256) {
    return refuse('HashMismatch', `${path} has the digest ${sha256}, and ${expected} is asked for.`);
  }
  return ok({ path, sizeBytes, sha256, ...description });
}

async function readConfig(folder: string): Promise<string> {
  const file = await open(join(folder, CONFIG_FILE));
  try {
    const buffer = Buffer.alloc(CONFIG_BYTES_MAX);
    const { bytesRead } = await file.read(buffer, 0, CONFIG_BYTES_MAX, 0);
    return buffer.toString('utf8', 0, bytesRead);
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
