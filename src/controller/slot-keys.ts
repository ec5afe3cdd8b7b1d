// The keys that routers show to slots: derived from one seed and the Pod's uid, so that no key opens a second slot.
// The seed lives in one Secret, which is made once. Neither seed nor keys are ever logged.
import { hkdfSync, randomBytes } from 'node:crypto';
import { kinds } from '../api/kinds.ts';
import { backoffDelayMs } from '../lib/backoff.ts';
import { type Clock, delay } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { fail, ok, type Result } from '../lib/result.ts';
import type { Rng } from '../lib/rng.ts';
import type { Cluster } from '../ports/cluster.ts';
import { RETRY_BACKOFF } from './bounds.ts';

export const SEED_SECRET = 'stoker-slot-keys';
const SEED_BYTES = 32;
const KEY_BYTES = 32;
/** The only version there is until keys are replaced on the go. */
export const SLOT_KEY_VERSION = 1;

/** HKDF-SHA-256 over (seed, Pod uid, version), as 64 hex digits. */
export function deriveSlotKey(seed: Uint8Array, podUid: string, version: number): string {
  const info = `stoker slot key\0${podUid}\0${version}`;
  return Buffer.from(hkdfSync('sha256', seed, new Uint8Array(0), info, KEY_BYTES)).toString('hex');
}

/** Reads the seed, or makes it. Tries until it has one; rejects only when `signal` aborts. */
export async function loadSeed(
  cluster: Cluster,
  { clock, rng, log }: { clock: Clock; rng: Rng; log: Log },
  signal: AbortSignal,
): Promise<Uint8Array> {
  for (let attempt = 0; ; attempt += 1) {
    const seed = await readOrMake(cluster, signal);
    if (seed.ok) return seed.value;
    signal.throwIfAborted();
    log.warn({ secret: SEED_SECRET, attempt, error: seed.error }, 'the seed of the slot keys is not to be had yet');
    await delay(clock, backoffDelayMs({ ...RETRY_BACKOFF, attempt, rng }), signal);
  }
}

async function readOrMake(cluster: Cluster, signal: AbortSignal): Promise<Result<Uint8Array, string>> {
  const found = await cluster.read(kinds.Secret, SEED_SECRET, signal);
  if (found.ok) {
    const seed = Buffer.from(found.value.data?.seed ?? '', 'base64');
    return seed.length >= SEED_BYTES
      ? ok(seed)
      : fail(`The Secret ${SEED_SECRET} has no seed of ${SEED_BYTES} bytes: delete it, and a new one is made.`);
  }
  if (found.error.reason !== 'NotFound') return fail(found.error.message);
  const seed = randomBytes(SEED_BYTES);
  const made = await cluster.create(
    kinds.Secret,
    {
      apiVersion: kinds.Secret.apiVersion,
      kind: kinds.Secret.kind,
      metadata: { name: SEED_SECRET },
      type: 'Opaque',
      data: { seed: seed.toString('base64') },
    },
    signal,
  );
  // Somebody else was faster: theirs is read at the next try.
  return made.ok ? ok(seed) : fail(made.error.message);
}
