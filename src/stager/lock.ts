// One stager for one file set at a time, on one machine or over a volume that several share: a file with who holds it, whose
// time is renewed. A holder that is gone, or that has not renewed it for long, is succeeded. Never waits for ever.
import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { type Clock, delay, every } from '../lib/clock.ts';
import { diskError, StageError } from './stage-error.ts';

const RENEW_MS = 10_000;
/** A lock that nobody renewed for this long has no holder any more. */
export const STALE_MS = 60_000;
const LOOK_MS = 1000;

export interface Holder {
  readonly host: string;
  readonly pid: number;
}

export interface LockOptions {
  readonly path: string;
  readonly holder: Holder;
  /** Whether a process of this host is alive. */
  isAlive(pid: number): boolean;
  readonly waitMsMax: number;
  readonly clock: Clock;
}

/** Waits while another one holds it. Resolves with what releases it. */
export async function takeLock(options: LockOptions, signal: AbortSignal): Promise<() => Promise<void>> {
  const { path, clock, holder } = options;
  const deadlineMs = clock.nowMs() + options.waitMsMax;
  const id = randomUUID();
  while (!(await tryTake(path, JSON.stringify({ ...holder, id })))) {
    signal.throwIfAborted();
    if (await isStale(options)) await breakLock(path, id);
    else if (clock.nowMs() >= deadlineMs) {
      throw new StageError('CacheUnwritable', `Another stager works on these files: ${path} is held.`, {});
    } else await delay(clock, LOOK_MS, signal);
  }
  const renewal = every(clock, RENEW_MS, () => {
    const now = new Date(clock.wallMs());
    utimes(path, now, now).catch(() => {});
  });
  return async () => {
    renewal.cancel();
    if ((await readFile(path, 'utf8').catch(() => '')).includes(id)) await rm(path, { force: true });
  };
}

async function tryTake(path: string, text: string): Promise<boolean> {
  try {
    const handle = await open(path, 'wx', 0o600);
    await handle.writeFile(text);
    await handle.close();
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw diskError(path, error);
  }
}

async function isStale({ path, holder, isAlive, clock }: LockOptions): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined) return false;
  if (clock.wallMs() - stats.mtimeMs > STALE_MS) return true;
  const found = parseHolder(await readFile(path, 'utf8').catch(() => ''));
  if (found === undefined || found.host !== holder.host) return false;
  // A container that starts again has the number it had before.
  return found.pid === holder.pid || !isAlive(found.pid);
}

/** By a rename, so that of two that break it only one takes away the old one. */
async function breakLock(path: string, id: string): Promise<void> {
  const aside = `${path}.${id}`;
  await rename(path, aside).catch(() => {});
  await rm(aside, { force: true });
}

function parseHolder(text: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('host' in value) || !('pid' in value)) return undefined;
    const { host, pid } = value;
    return typeof host === 'string' && typeof pid === 'number' ? { host, pid } : undefined;
  } catch {
    return undefined;
  }
}
