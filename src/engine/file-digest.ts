// The sha256 of large files, computed in chunks and remembered by (path, size, modification time, inode).
// Must never read a file twice at the same time, and never block the event loop for more than one chunk.
import { createHash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';

/** Hashing one chunk takes about half a millisecond. */
const CHUNK_BYTES = 512 * 1024;
/** Digests that are remembered; the oldest goes first. */
const DIGESTS_MAX = 512;

export interface FileDigest {
  readonly sizeBytes: number;
  readonly mtimeMs: number;
  readonly sha256: string;
}

export interface FileDigests {
  /** Rejects with the system's error, or with FileChanged when the file changed while it was read. */
  digest(path: string, signal: AbortSignal): Promise<FileDigest>;
}

export class FileChanged extends Error {
  override readonly name = 'FileChanged';
}

interface Running {
  readonly digest: Promise<FileDigest>;
  readonly controller: AbortController;
  waiters: number;
}

/** Remembers in memory, and in `cacheFile` when one is given. A cache file that cannot be read or written only costs time. */
export function createFileDigests(cacheFile?: string): FileDigests {
  let known: Promise<Map<string, string>> | undefined;
  const running = new Map<string, Running>();
  const load = () => {
    known ??= cacheFile === undefined ? Promise.resolve(new Map()) : readCache(cacheFile);
    return known;
  };
  const compute = async (path: string, signal: AbortSignal): Promise<FileDigest> => {
    const before = await stat(path);
    const sha256 = await hashFile(path, signal);
    const key = keyOf(path, before);
    if (keyOf(path, await stat(path)) !== key) throw new FileChanged(`${path} changed while it was read.`);
    const cache = await load();
    remember(cache, key, sha256);
    if (cacheFile !== undefined) await writeCache(cacheFile, cache);
    return { sizeBytes: before.size, mtimeMs: before.mtimeMs, sha256 };
  };
  const startJob = (path: string, key: string): Running => {
    const controller = new AbortController();
    const forget = () => {
      if (running.get(key) === job) running.delete(key);
    };
    // Whoever comes after it was abandoned must not get the abort of those who left.
    controller.signal.addEventListener('abort', forget, { once: true });
    const job = { digest: compute(path, controller.signal), controller, waiters: 0 };
    job.digest.then(forget, forget);
    return job;
  };
  return {
    async digest(given, signal) {
      const path = resolve(given);
      const stats = await stat(path);
      const key = keyOf(path, stats);
      const sha256 = (await load()).get(key);
      if (sha256 !== undefined) return { sizeBytes: stats.size, mtimeMs: stats.mtimeMs, sha256 };
      let job = running.get(key);
      if (job === undefined) {
        job = startJob(path, key);
        running.set(key, job);
      }
      return joinJob(job, signal);
    },
  };
}

/** The work stops when nobody waits for it any more. */
async function joinJob(job: Running, signal: AbortSignal): Promise<FileDigest> {
  signal.throwIfAborted();
  job.waiters += 1;
  let onAbort = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([job.digest, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    job.waiters -= 1;
    if (job.waiters === 0) job.controller.abort(signal.reason);
  }
}

function keyOf(path: string, stats: Stats): string {
  return `${path}|${stats.size}|${stats.mtimeMs}|${stats.ino}`;
}

async function hashFile(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  const chunks: AsyncIterable<Buffer> = createReadStream(path, { highWaterMark: CHUNK_BYTES, signal });
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

function remember(cache: Map<string, string>, key: string, sha256: string): void {
  cache.set(key, sha256);
  for (const oldest of cache.keys()) {
    if (cache.size <= DIGESTS_MAX) break;
    cache.delete(oldest);
  }
}

const cacheSchema = z.array(z.tuple([z.string().max(4096), z.string().regex(/^[0-9a-f]{64}$/)])).max(DIGESTS_MAX);

async function readCache(path: string): Promise<Map<string, string>> {
  try {
    return new Map(cacheSchema.parse(JSON.parse(await readFile(path, 'utf8'))));
  } catch {
    return new Map();
  }
}

async function writeCache(path: string, cache: ReadonlyMap<string, string>): Promise<void> {
  const temporary = `${path}.${process.pid}.new`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(temporary, JSON.stringify([...cache]), { mode: 0o600 });
    await rename(temporary, path);
  } catch {
    // The next process hashes again.
  }
}
