// Frees room in the cache before a download: takes away sets that nobody named, the oldest first, until what is to come fits.
// Never touches a set that is to be kept, what another stager works on, or a folder that no stager made.
import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readSeal, SEAL_FILE } from '../engine/weights-folder.ts';
import type { Clock } from '../lib/clock.ts';
import { renderBytes } from '../lib/units.ts';
import { STALE_MS } from './lock.ts';
import { diskError, StageError } from './stage-error.ts';

const DIGEST = /^[0-9a-f]{64}$/;
const PARTIAL = '.partial';
/** What is on its way out. Whoever comes next goes on with it. */
const GONE = 'gone-';
const ENTRIES_MAX = 10_000;

export interface RoomBounds {
  /** What all sets together may take. */
  readonly cacheBytesMax: number;
  /** Digests of the sets that stay. */
  readonly keep: ReadonlySet<string>;
}

export interface RoomNeeds extends RoomBounds {
  readonly folder: string;
  readonly digest: string;
  /** All of the set. */
  readonly totalBytes: number;
  /** What of it has still to be written, with what is to be left free. */
  readonly missingBytes: number;
  readonly freeBytes: number;
  readonly clock: Clock;
}

interface Stored {
  readonly path: string;
  readonly digest: string;
  readonly bytes: number;
  readonly mayGo: boolean;
  /** Lower goes first: what is unfinished, then by age. */
  readonly rank: number;
}

/** Resolves with the digests that went. Rejects with StageError when it does not fit all the same. */
export async function makeRoom(needs: RoomNeeds): Promise<readonly string[]> {
  const { folder, digest, cacheBytesMax, totalBytes, missingBytes, freeBytes } = needs;
  await clearGone(folder);
  const stored = (await listStored(needs)).filter((one) => one.digest !== digest);
  const storedBytes = stored.reduce((sum, { bytes }) => sum + bytes, 0);
  let overBytes = Math.max(storedBytes + totalBytes - cacheBytesMax, missingBytes - freeBytes);
  const gone: string[] = [];
  for (const one of stored.filter(({ mayGo }) => mayGo).sort((a, b) => a.rank - b.rank)) {
    if (overBytes <= 0) break;
    await remove(folder, one);
    overBytes -= one.bytes;
    gone.push(one.digest);
  }
  if (overBytes <= 0) return gone;
  const keptBytes = stored.reduce((sum, one) => sum + (gone.includes(one.digest) ? 0 : one.bytes), 0);
  const message = `The files need ${renderBytes(totalBytes)}, and ${renderBytes(keptBytes)} are held by others that stay. The cache may have ${renderBytes(cacheBytesMax)}, and the volume has ${renderBytes(freeBytes)} left: make either larger.`;
  throw new StageError('DiskFull', message);
}

async function listStored(needs: RoomNeeds): Promise<readonly Stored[]> {
  const { folder, keep } = needs;
  const found: Stored[] = [];
  for (const digest of await listDigests(folder)) {
    const path = join(folder, digest);
    const sealed = await stat(join(path, SEAL_FILE)).catch(() => undefined);
    const seal = await readSeal(path);
    const bytes = seal?.files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) ?? (await measure(path));
    found.push({ path, digest, bytes, mayGo: !keep.has(digest), rank: sealed?.mtimeMs ?? 0 });
  }
  const partial = join(folder, PARTIAL);
  for (const digest of await listDigests(partial)) {
    const path = join(partial, digest);
    const mayGo = !keep.has(digest) && !(await isWorkedOn(path, needs.clock));
    found.push({ path, digest, bytes: await measure(path), mayGo, rank: -1 });
  }
  return found;
}

async function listDigests(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => DIGEST.test(name)).slice(0, ENTRIES_MAX);
}

/** The lock of a stager that lives is never old. */
async function isWorkedOn(path: string, clock: Clock): Promise<boolean> {
  const lock = await stat(`${path}.lock`).catch(() => undefined);
  return lock !== undefined && clock.wallMs() - lock.mtimeMs <= STALE_MS;
}

/** What its files take on the volume. */
async function measure(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries.slice(0, ENTRIES_MAX)) {
    if (!entry.isFile()) continue;
    const stats = await stat(join(entry.parentPath, entry.name)).catch(() => undefined);
    bytes += stats === undefined ? 0 : Math.min(stats.size, stats.blocks * 512);
  }
  return bytes;
}

/** It loses its name first, so that nobody ever opens half of a set. */
async function remove(folder: string, { path, digest }: Stored): Promise<void> {
  const aside = join(folder, PARTIAL, `${GONE}${digest}`);
  try {
    await rm(aside, { recursive: true, force: true });
    await rename(path, aside);
    await rm(aside, { recursive: true, force: true });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
    throw diskError(path, error);
  }
}

async function clearGone(folder: string): Promise<void> {
  const partial = join(folder, PARTIAL);
  const names = await readdir(partial).catch(() => []);
  for (const name of names.filter((one) => one.startsWith(GONE))) {
    await rm(join(partial, name), { recursive: true, force: true });
  }
}
