// Counts the starts of each revision in this slot. Kept on disk, and written before a start, so that an agent that comes
// after a crash never gives an old incarnation's number to a new engine.
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Log } from '../lib/log.ts';

/** Revisions that are remembered; the one that was started longest ago is forgotten first. */
const REVISIONS_MAX = 1000;
const countsSchema = z.record(z.string(), z.int().min(1));

export interface Incarnations {
  /** The number of the latest start; 0 before the first. */
  latest(revision: string): number;
  /** Takes the next number. It must be kept before the engine is started. */
  take(revision: string): number;
  /** Writes the numbers. A disk that cannot be written is logged: they then last as long as the agent. */
  keep(): Promise<void>;
}

export async function openIncarnations(options: { stateDir: string; podUid: string; log: Log }): Promise<Incarnations> {
  const folder = join(options.stateDir, 'incarnations');
  const path = join(folder, `${createHash('sha256').update(options.podUid).digest('hex').slice(0, 32)}.json`);
  const counts = await readCounts(path);
  return {
    latest: (revision) => counts.get(revision) ?? 0,
    take(revision) {
      const number = (counts.get(revision) ?? 0) + 1;
      counts.delete(revision);
      counts.set(revision, number);
      for (const oldest of counts.keys()) {
        if (counts.size <= REVISIONS_MAX) break;
        counts.delete(oldest);
      }
      return number;
    },
    async keep() {
      try {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await writeFile(`${path}.new`, JSON.stringify(Object.fromEntries(counts)), { mode: 0o600 });
        await rename(`${path}.new`, path);
      } catch (error) {
        options.log.warn({ error: String(error) }, 'the numbers of starts could not be kept');
      }
    },
  };
}

async function readCounts(path: string): Promise<Map<string, number>> {
  try {
    return new Map(Object.entries(countsSchema.parse(JSON.parse(await readFile(path, 'utf8')))));
  } catch {
    return new Map();
  }
}
