// Weights that are a folder: what identifies it, and whether the folder that an engine is about to open is the one that was
// pinned. A sealed folder is trusted by its seal, sizes and times; any other is read whole once. Never changes the folder.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { fileSetDigest } from '../api/file-set.ts';
import { EngineError } from './engine-error.ts';
import { FileChanged, type FileDigests } from './file-digest.ts';

/** Written by whoever staged and verified the folder, as its last act. Not part of what it describes. */
export const SEAL_FILE = '.stoker-seal.json';
const SEAL_BYTES_MAX = 1024 * 1024;
const FILES_MAX = 2000;
const DEPTH_MAX = 4;

export interface FolderFile {
  /** Below the folder, with forward slashes. */
  readonly path: string;
  readonly sizeBytes: number;
  readonly mtimeMs: number;
}

const sealSchema = z.object({
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  files: z
    .array(
      z.object({
        path: z.string().max(1024),
        sizeBytes: z.int().min(0),
        mtimeMs: z.number(),
        sha256: z
          .string()
          .regex(/^[0-9a-f]{64}$/)
          .optional(),
      }),
    )
    .min(1)
    .max(FILES_MAX),
});
export type Seal = z.infer<typeof sealSchema>;

interface PinnedFolder {
  readonly weightsPath: string;
  readonly weightsSizeBytes: number;
  readonly weightsSha256: string;
}

/** What a folder is. Rejects with EngineError: WeightsMissing, WeightsUnreadable or WeightsChanged. */
export async function identifyFolder(
  folder: string,
  digests: FileDigests,
  signal: AbortSignal,
): Promise<{ readonly sizeBytes: number; readonly sha256: string }> {
  try {
    const files = await listFolder(folder);
    const sha256 = (await readSealed(folder, files)) ?? (await digestFolder(folder, { files, digests, signal }));
    return { sizeBytes: sumBytes(files), sha256 };
  } catch (error) {
    signal.throwIfAborted();
    throw translate(folder, error);
  }
}

/** Rejects with EngineError: WeightsMissing, WeightsUnreadable or WeightsChanged. */
export async function verifyFolder(pinned: PinnedFolder, digests: FileDigests, signal: AbortSignal): Promise<void> {
  const { weightsPath: folder } = pinned;
  try {
    // Before the digest, which takes its time with large files.
    const sizeBytes = sumBytes(await listFolder(folder));
    if (sizeBytes !== pinned.weightsSizeBytes) {
      throw changed(`${folder} has ${sizeBytes} bytes, and ${pinned.weightsSizeBytes} are pinned.`);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw translate(folder, error);
  }
  const { sha256 } = await identifyFolder(folder, digests, signal);
  if (sha256 !== pinned.weightsSha256) {
    throw changed(`${folder} has the digest ${sha256}, and ${pinned.weightsSha256} is pinned.`);
  }
}

function sumBytes(files: readonly FolderFile[]): number {
  return files.reduce((sum, file) => sum + file.sizeBytes, 0);
}

/** Its files in the order of their paths, without the seal and without what begins with a dot. */
export async function listFolder(folder: string): Promise<readonly FolderFile[]> {
  const found: FolderFile[] = [];
  await collect(folder, '', found);
  if (found.length === 0) throw new EngineError('WeightsMissing', `There is no file in the folder ${folder}.`);
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function collect(folder: string, below: string, found: FolderFile[]): Promise<void> {
  if (below.split('/').length > DEPTH_MAX) {
    throw new EngineError('WeightsUnreadable', `${folder} has folders more than ${DEPTH_MAX} levels deep.`);
  }
  for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue;
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    // Follows links: the cache of a model hub keeps its files behind them.
    const stats = await stat(join(folder, path));
    if (stats.isDirectory()) await collect(folder, path, found);
    else if (found.push({ path, sizeBytes: stats.size, mtimeMs: stats.mtimeMs }) > FILES_MAX) {
      throw new EngineError('WeightsUnreadable', `${folder} has more than ${FILES_MAX} files.`);
    }
  }
}

/** The digest that the seal vouches for; undefined when there is none, or when a file is not as it was sealed. */
async function readSealed(folder: string, files: readonly FolderFile[]): Promise<string | undefined> {
  const seal = await readSeal(folder);
  if (seal === undefined || seal.files.length !== files.length) return undefined;
  const sealed = new Map(seal.files.map((file) => [file.path, file]));
  const isWhole = files.every((file) => {
    const other = sealed.get(file.path);
    return other !== undefined && other.sizeBytes === file.sizeBytes && other.mtimeMs === file.mtimeMs;
  });
  return isWhole ? seal.digest : undefined;
}

/** What the folder was sealed with; undefined when it was not. Whether it is still like that is not looked at. */
export async function readSeal(folder: string): Promise<Seal | undefined> {
  const path = join(folder, SEAL_FILE);
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined || stats.size > SEAL_BYTES_MAX) return undefined;
  return parseSeal(await readFile(path, 'utf8').catch(() => ''));
}

function parseSeal(text: string): Seal | undefined {
  try {
    return sealSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Reads every file that its digest is not remembered of. Rejects with the system's error, or FileChanged. */
export async function digestFolder(
  folder: string,
  given: { readonly files: readonly FolderFile[]; readonly digests: FileDigests; readonly signal: AbortSignal },
): Promise<string> {
  const digested = [];
  for (const { path } of given.files) {
    const { sha256 } = await given.digests.digest(join(folder, path), given.signal);
    digested.push({ path, sha256 });
  }
  return fileSetDigest(digested);
}

function changed(sentence: string): EngineError {
  return new EngineError('WeightsChanged', sentence);
}

function translate(folder: string, error: unknown): Error {
  if (error instanceof EngineError) return error;
  if (error instanceof FileChanged) return changed(error.message);
  const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
  if (code === 'ENOENT')
    return new EngineError('WeightsMissing', `There is no folder ${folder}, or a link in it leads nowhere.`);
  if (code === 'ENOTDIR')
    return new EngineError('WeightsMissing', `${folder} is a file, and the engine needs a folder.`);
  return new EngineError('WeightsUnreadable', `${folder} cannot be read (${code}).`);
}
