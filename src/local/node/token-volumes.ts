// Fills the volumes of a Pod: empty folders, and folders with service account tokens that are replaced before they expire.
// Tokens lie in files of mode 0600, are swapped in one step, and appear in no log.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import type { Pod, PodVolume } from '../../api/kinds.ts';
import { backoffDelayMs } from '../../lib/backoff.ts';
import { type Clock, delay } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { fail, ok, type Result } from '../../lib/result.ts';
import type { Rng } from '../../lib/rng.ts';
import { API_BACKOFF, TOKEN_REFRESH_MS_MIN, TOKEN_REFRESH_SHARE } from './bounds.ts';
import type { NodeApi, PodRef } from './node-api.ts';
import { isPathName, volumeFolder } from './pod-folder.ts';

interface TokenFile {
  readonly audience: string;
  readonly expirationSeconds: number;
  readonly path: string;
}

export interface TokenContext {
  readonly ref: PodRef;
  readonly pod: Pod;
  readonly folder: string;
  readonly api: NodeApi;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
}

/** A sentence when a volume is of a kind that the node does not have. */
export function refuseVolumes(pod: Pod): string | undefined {
  for (const volume of pod.spec.volumes ?? []) {
    if (!isPathName(volume.name)) return `${JSON.stringify(volume.name)} is no name of a volume.`;
    if (volume.emptyDir === undefined && !isTokenVolume(volume)) {
      return `Volume ${volume.name} is of a kind that the local node does not have; it has emptyDir and projected serviceAccountToken.`;
    }
  }
  return undefined;
}

function isTokenVolume({ projected }: PodVolume): boolean {
  return (
    projected?.sources.every(({ serviceAccountToken: token }) => token !== undefined && isInsidePath(token.path)) ===
    true
  );
}

function isInsidePath(path: string): boolean {
  return !posix.isAbsolute(path) && posix.normalize(path) === path && !path.startsWith('..') && path !== '.';
}

/** Makes every volume and fetches every token once. The sentence of what failed comes back; calling again is safe. */
export async function fillVolumes(
  context: TokenContext,
  signal: AbortSignal,
): Promise<Result<readonly FreshToken[], string>> {
  const fresh: FreshToken[] = [];
  for (const volume of context.pod.spec.volumes ?? []) {
    const folder = volumeFolder(context.folder, volume.name);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const { serviceAccountToken: token } of volume.projected?.sources ?? []) {
      if (token === undefined) continue;
      const file = { ...token, path: join(folder, token.path) };
      const expiresInSeconds = await writeToken(context, file, signal);
      if (!expiresInSeconds.ok) return expiresInSeconds;
      fresh.push({ file, expiresInSeconds: expiresInSeconds.value });
    }
  }
  return ok(fresh);
}

export interface FreshToken {
  readonly file: TokenFile;
  readonly expiresInSeconds: number;
}

/** Replaces a token again and again until the signal aborts. Never rejects. */
export async function keepFresh(context: TokenContext, token: FreshToken, signal: AbortSignal): Promise<void> {
  const { clock, rng, log, ref } = context;
  let waitMs = refreshDelayMs(token.expiresInSeconds);
  for (let failures = 0; ; ) {
    await delay(clock, waitMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    const written = await writeToken(context, token.file, signal);
    if (signal.aborted) return;
    if (written.ok) {
      failures = 0;
      waitMs = refreshDelayMs(written.value);
      continue;
    }
    log.warn(
      { pod: ref.name, attempt: failures, error: written.error },
      'a token could not be replaced and is asked for again',
    );
    waitMs = backoffDelayMs({ ...API_BACKOFF, attempt: failures, rng });
    failures += 1;
  }
}

function refreshDelayMs(expiresInSeconds: number): number {
  return Math.max(TOKEN_REFRESH_MS_MIN, expiresInSeconds * 1000 * TOKEN_REFRESH_SHARE);
}

async function writeToken(
  { ref, pod, api }: TokenContext,
  file: TokenFile,
  signal: AbortSignal,
): Promise<Result<number, string>> {
  const { audience, expirationSeconds } = file;
  const serviceAccountName = pod.spec.serviceAccountName ?? 'default';
  const answer = await api.requestToken(ref, { serviceAccountName, audience, expirationSeconds }, signal);
  if (!answer.ok)
    return fail(`A token of ${serviceAccountName} for ${audience} was not given: ${answer.error.message}`);
  try {
    mkdirSync(dirname(file.path), { recursive: true, mode: 0o700 });
    writeFileSync(`${file.path}.new`, answer.value.token, { mode: 0o600 });
    renameSync(`${file.path}.new`, file.path);
  } catch (error) {
    return fail(`A token could not be written: ${error instanceof Error ? error.message : String(error)}`);
  }
  return ok(answer.value.expiresInSeconds);
}
