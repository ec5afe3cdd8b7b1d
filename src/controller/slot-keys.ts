// The keys that routers show to slots: derived from one seed, the Pod's uid and a version, so that no key opens a second slot.
// The seed and the current version live in one Secret. Neither seed nor keys are ever logged.
import { hkdfSync, randomBytes } from 'node:crypto';
import { kinds, type Secret } from '../api/kinds.ts';
import { backoffDelayMs } from '../lib/backoff.ts';
import { type Clock, delay } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { fail, ok, type Result } from '../lib/result.ts';
import type { Rng } from '../lib/rng.ts';
import type { Cluster } from '../ports/cluster.ts';
import { RETRY_BACKOFF } from './bounds.ts';

export const SEED_SECRET = 'stoker-slot-keys';
/** When the version was last raised. Without it the version is raised at the next look. */
export const ROTATED_AT = 'stoker.dev/rotated-at';
const SEED_BYTES = 32;
const KEY_BYTES = 32;
export const FIRST_KEY_VERSION = 1;

/** What the Secret says. */
export interface KeySource {
  readonly seed: Uint8Array;
  readonly version: number;
  /** Undefined when it does not say, or says it in a way that cannot be read. */
  readonly rotatedAtMs: number | undefined;
  readonly resourceVersion: string | undefined;
}

/** HKDF-SHA-256 over (seed, Pod uid, version), as 64 hex digits. */
export function deriveSlotKey(seed: Uint8Array, podUid: string, version: number): string {
  const info = `stoker slot key\0${podUid}\0${version}`;
  return Buffer.from(hkdfSync('sha256', seed, new Uint8Array(0), info, KEY_BYTES)).toString('hex');
}

/** Reads the seed, or makes it. Tries until it has one; rejects only when `signal` aborts. */
export async function loadKeySource(
  cluster: Cluster,
  { clock, rng, log, onTrouble }: { clock: Clock; rng: Rng; log: Log; onTrouble?(sentence: string): void },
  signal: AbortSignal,
): Promise<KeySource> {
  for (let attempt = 0; ; attempt += 1) {
    const source = await readOrMake(cluster, { version: FIRST_KEY_VERSION, wallMs: clock.wallMs() }, signal);
    if (source.ok) return source.value;
    signal.throwIfAborted();
    log.warn({ secret: SEED_SECRET, attempt, error: source.error }, 'the seed of the slot keys is not to be had yet');
    onTrouble?.(`The seed of the slot keys (the Secret ${SEED_SECRET}) is not to be had: ${source.error}`);
    await delay(clock, backoffDelayMs({ ...RETRY_BACKOFF, attempt, rng }), signal);
  }
}

/** Makes a new seed with this version when there is no Secret. */
export async function readOrMake(
  cluster: Cluster,
  first: { readonly version: number; readonly wallMs: number },
  signal: AbortSignal,
): Promise<Result<KeySource, string>> {
  const found = await cluster.read(kinds.Secret, SEED_SECRET, signal);
  if (found.ok) return parseKeySource(found.value);
  if (found.error.reason !== 'NotFound') return fail(found.error.message);
  const made = await cluster.create(
    kinds.Secret,
    {
      apiVersion: kinds.Secret.apiVersion,
      kind: kinds.Secret.kind,
      metadata: { name: SEED_SECRET, annotations: { [ROTATED_AT]: renderTime(first.wallMs) } },
      type: 'Opaque',
      data: { seed: randomBytes(SEED_BYTES).toString('base64'), version: renderVersion(first.version) },
    },
    signal,
  );
  // Somebody else was faster: theirs is read at the next try.
  return made.ok ? parseKeySource(made.value) : fail(made.error.message);
}

/** Raises the version that the Secret has. Fails when the Secret has moved on since it was read. */
export async function writeVersion(
  cluster: Cluster,
  { version, wallMs, resourceVersion }: { version: number; wallMs: number; resourceVersion: string | undefined },
  signal: AbortSignal,
): Promise<Result<void, string>> {
  const patch = {
    metadata: { annotations: { [ROTATED_AT]: renderTime(wallMs) } },
    data: { version: renderVersion(version) },
  };
  const written = await cluster.patch(kinds.Secret, SEED_SECRET, patch, {
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    signal,
  });
  return written.ok ? ok(undefined) : fail(written.error.message);
}

export function parseKeySource({ data, metadata }: Secret): Result<KeySource, string> {
  const seed = Buffer.from(data?.seed ?? '', 'base64');
  if (seed.length < SEED_BYTES) {
    return fail(`The Secret ${SEED_SECRET} has no seed of ${SEED_BYTES} bytes: delete it, and a new one is made.`);
  }
  const version = Buffer.from(data?.version ?? '', 'base64').toString('utf8');
  const rotatedAtMs = Date.parse(metadata.annotations?.[ROTATED_AT] ?? '');
  return ok({
    seed,
    // Releases that did not change keys wrote no version.
    version: /^[1-9][0-9]{0,8}$/.test(version) ? Number(version) : FIRST_KEY_VERSION,
    rotatedAtMs: Number.isNaN(rotatedAtMs) ? undefined : rotatedAtMs,
    resourceVersion: metadata.resourceVersion,
  });
}

function renderVersion(version: number): string {
  return Buffer.from(String(version)).toString('base64');
}

function renderTime(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
