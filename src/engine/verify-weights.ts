// Whether the file that an engine is about to open is the one that was pinned. Full digest once per state of the file;
// afterwards size, time and inode are enough. A file that was staged and sealed was read whole then.
import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { LlamaLaunch } from '../api/link.ts';
import { EngineError } from './engine-error.ts';
import { FileChanged, type FileDigests } from './file-digest.ts';
import { readSeal } from './weights-folder.ts';

/** The file as it was when it was verified. */
export interface VerifiedFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
}

type PinnedFile = Pick<LlamaLaunch, 'weightsPath' | 'weightsSizeBytes' | 'weightsSha256'>;

/** Rejects with EngineError. */
export async function verifyWeights(
  launch: PinnedFile,
  digests: FileDigests,
  signal: AbortSignal,
): Promise<VerifiedFile> {
  const path = launch.weightsPath;
  const found = await lookAt(path);
  if (found.size !== launch.weightsSizeBytes) {
    throw new EngineError(
      'WeightsChanged',
      `${path} has ${found.size} bytes, and ${launch.weightsSizeBytes} are pinned.`,
    );
  }
  if (await isSealedAs(launch, found)) return { path, sizeBytes: found.size, mtimeMs: found.mtimeMs };
  const digest = await digests.digest(path, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw translate(path, error);
  });
  if (digest.sha256 !== launch.weightsSha256) {
    throw new EngineError(
      'WeightsChanged',
      `${path} has sha256 ${digest.sha256}, and ${launch.weightsSha256} is pinned.`,
    );
  }
  return { path, sizeBytes: digest.sizeBytes, mtimeMs: digest.mtimeMs };
}

/** Whoever staged the file read it whole and sealed it: then its size and time are enough. */
async function isSealedAs({ weightsPath, weightsSha256 }: PinnedFile, found: Stats): Promise<boolean> {
  const seal = await readSeal(dirname(weightsPath));
  const sealed = seal?.files.find(({ path }) => path === basename(weightsPath));
  return sealed?.sha256 === weightsSha256 && sealed.sizeBytes === found.size && sealed.mtimeMs === found.mtimeMs;
}

/** Before an engine reads the file again: it must not have changed since it was verified. */
export async function checkUnchanged(file: VerifiedFile): Promise<void> {
  const found = await lookAt(file.path);
  if (found.size !== file.sizeBytes || found.mtimeMs !== file.mtimeMs) {
    throw new EngineError('WeightsChanged', `${file.path} changed since it was verified.`);
  }
}

function lookAt(path: string) {
  return stat(path).catch((error: unknown) => {
    throw translate(path, error);
  });
}

function translate(path: string, error: unknown): EngineError {
  if (error instanceof FileChanged) return new EngineError('WeightsChanged', error.message);
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') return new EngineError('WeightsMissing', `There is no file ${path}.`);
  return new EngineError('WeightsUnreadable', `${path} cannot be read (${code}).`);
}
