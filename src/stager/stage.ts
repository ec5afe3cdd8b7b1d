// Brings a file set into the cache: <folder>/<digest>/ holds the files and a seal, and appears there in one step once every
// file has its digest. What is unfinished lies in <folder>/.partial/<digest>/ and is gone on with. Never touches another set.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type FileSet, fileSetBytes, fileSetDigest, type StagedFile } from '../api/file-set.ts';
import { readSeal, SEAL_FILE, type Seal } from '../engine/weights-folder.ts';
import { renderBytes } from '../lib/units.ts';
import { fetchFile } from './fetch-file.ts';
import { type Holder, takeLock } from './lock.ts';
import { makeRoom, type RoomBounds } from './make-room.ts';
import { forEachBounded, type Patience } from './retry.ts';
import type { SourceClient } from './source-client.ts';
import { diskError, StageError } from './stage-error.ts';

const FILES_PARALLEL_MAX = 2;
/** What is left free on the volume. */
const RESERVE_BYTES = 64 * 1024 * 1024;
const HASH_CHUNK_BYTES = 512 * 1024;
const LOCK_WAIT_MS_MAX = 6 * 3600 * 1000;

export interface StageOptions extends Patience {
  readonly folder: string;
  readonly client: SourceClient;
  readonly holder: Holder;
  isAlive(pid: number): boolean;
  /** Called as bytes arrive: often. */
  onProgress(doneBytes: number, totalBytes: number): void;
  /** Free bytes of the volume, where it is not the file system that says so. */
  freeBytes?(): Promise<number>;
  /** What may be taken away for these files. Unset: nothing. */
  readonly room?: RoomBounds | undefined;
  /** Called with the digests of the sets that were taken away. */
  onEvicted?(digests: readonly string[]): void;
  readonly chunkBytes?: number;
}

export interface Staged {
  readonly path: string;
  readonly digest: string;
  /** False when it was there already. */
  readonly isNew: boolean;
}

/** Rejects with StageError, or with the reason of `signal`. */
export async function stageFiles(set: FileSet, options: StageOptions, signal: AbortSignal): Promise<Staged> {
  const digest = fileSetDigest(set.files);
  const path = join(options.folder, digest);
  if (await isSealed(path, set.files)) return { path, digest, isNew: false };
  const partial = join(options.folder, '.partial', digest);
  await mkdir(partial, { recursive: true }).catch((error: unknown) => {
    throw diskError(partial, error);
  });
  const lock = { ...options, path: `${partial}.lock`, waitMsMax: LOCK_WAIT_MS_MAX };
  const release = await takeLock(lock, signal);
  try {
    // Whoever held it before may have finished.
    if (await isSealed(path, set.files)) return { path, digest, isNew: false };
    await fetchAll(set, partial, { ...options, signal });
    await publish({ set, digest, partial, path });
    return { path, digest, isNew: true };
  } finally {
    await release();
  }
}

/** The files are there, and of the sizes and times that they were sealed with. */
export async function isSealed(path: string, files: readonly StagedFile[]): Promise<boolean> {
  const seal = await readSeal(path);
  if (seal === undefined || seal.digest !== fileSetDigest(files)) return false;
  for (const { path: name, sizeBytes, mtimeMs } of seal.files) {
    const stats = await stat(join(path, name)).catch(() => undefined);
    if (stats === undefined || stats.size !== sizeBytes || stats.mtimeMs !== mtimeMs) return false;
  }
  return true;
}

type Fetching = StageOptions & { readonly signal: AbortSignal };

async function fetchAll({ files }: FileSet, partial: string, options: Fetching): Promise<void> {
  const { signal } = options;
  await mkdir(partial, { recursive: true }).catch((error: unknown) => {
    throw diskError(partial, error);
  });
  const totalBytes = fileSetBytes(files);
  await checkRoom(files, partial, options);
  let doneBytes = 0;
  // Whoever asks learns that room is made.
  options.onProgress(0, totalBytes);
  const onBytes = (count: number) => {
    doneBytes += count;
    options.onProgress(Math.min(doneBytes, totalBytes), totalBytes);
  };
  const numbered = files.map((file, at) => ({ file, at }));
  await forEachBounded(numbered, { parallelMax: FILES_PARALLEL_MAX, signal }, async ({ file, at }, until) => {
    const target = join(partial, file.path);
    const logFile = join(partial, `.chunks-${at}`);
    await mkdir(dirname(target), { recursive: true }).catch((error: unknown) => {
      throw diskError(target, error);
    });
    await fetchFile(file, { ...options, target, logFile, onBytes }, until);
    await verify(file, { target, logFile }, until);
  });
}

async function checkRoom(files: readonly StagedFile[], partial: string, options: Fetching): Promise<void> {
  const there = await Promise.all(files.map(({ path }) => allocatedBytes(join(partial, path))));
  const missing = Math.max(0, fileSetBytes(files) - there.reduce((sum, bytes) => sum + bytes, 0));
  const freeBytes = options.freeBytes ?? (() => freeBytesOf(partial));
  if (options.room !== undefined) {
    const totalBytes = fileSetBytes(files);
    const [digest, missingBytes] = [fileSetDigest(files), missing + RESERVE_BYTES];
    const { folder, clock, room } = options;
    const given = { folder, clock, ...room, digest, totalBytes, missingBytes, freeBytes: await freeBytes() };
    const gone = await makeRoom(given);
    if (gone.length > 0) options.onEvicted?.(gone);
  }
  const free = await freeBytes();
  if (missing + RESERVE_BYTES <= free) return;
  const message = `The files need ${renderBytes(missing)} more and ${renderBytes(RESERVE_BYTES)} to spare, and the volume has ${renderBytes(free)} left. Make it larger, or free space on it.`;
  throw new StageError('DiskFull', message);
}

async function freeBytesOf(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

/** A sparse file takes only what was written. */
async function allocatedBytes(path: string): Promise<number> {
  const stats = await stat(path).catch(() => undefined);
  return stats === undefined ? 0 : Math.min(stats.size, stats.blocks * 512);
}

/** Once for every file. One that is wrong is thrown away, so that the next try does not find it. */
async function verify(
  file: StagedFile,
  { target, logFile }: { readonly target: string; readonly logFile: string },
  signal: AbortSignal,
): Promise<void> {
  const hash = createHash('sha256');
  const pieces: AsyncIterable<Buffer> = createReadStream(target, { highWaterMark: HASH_CHUNK_BYTES, signal });
  for await (const piece of pieces) hash.update(piece);
  const found = hash.digest('hex');
  if (found === file.sha256) return;
  await rm(target, { force: true });
  await rm(logFile, { force: true });
  const message = `${file.path} came with sha256 ${found}, and ${file.sha256} is pinned. The source has another file: correct the digest, or the address.`;
  throw new StageError('HashMismatch', message);
}

interface Publishing {
  readonly set: FileSet;
  readonly digest: string;
  readonly partial: string;
  readonly path: string;
}

/** The seal is written before the folder gets its name, so that a folder of that name is whole. */
async function publish({ set, digest, partial, path }: Publishing): Promise<void> {
  try {
    for (const at of set.files.keys()) await rm(join(partial, `.chunks-${at}`), { force: true });
    const files = await Promise.all(
      set.files.map(async (file) => {
        const { size, mtimeMs } = await stat(join(partial, file.path));
        return { path: file.path, sizeBytes: size, mtimeMs, sha256: file.sha256 };
      }),
    );
    const seal: Seal = { digest, files };
    await writeFile(join(partial, SEAL_FILE), JSON.stringify(seal), { mode: 0o644 });
    // What lies there was not whole.
    await rm(path, { recursive: true, force: true });
    await rename(partial, path);
  } catch (error) {
    throw diskError(path, error);
  }
}
