// Composition of the stager: downloads one file set into a folder and ends. The controller starts it in a Pod; people may run
// it, too. Says how it ended by its exit code, and why not in one sentence, which a Pod's status shows.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type FileSet, fileSetDigest, parseFileSet } from '../api/file-set.ts';
import { systemClock } from '../lib/clock.ts';
import { systemRng } from '../lib/rng.ts';
import { renderBytes } from '../lib/units.ts';
import type { RoomBounds } from '../stager/make-room.ts';
import { type ProgressTeller, serveProgress, writeProgress } from '../stager/progress.ts';
import { readCredentials } from '../stager/resolve-source.ts';
import { createSourceClient } from '../stager/source-client.ts';
import { type Staged, type StageOptions, stageFiles } from '../stager/stage.ts';
import { StageError } from '../stager/stage-error.ts';
import { createLog } from '../telemetry/log.ts';

type Log = ReturnType<typeof createLog>;

export interface StagerFlags {
  /** Where the sets lie: each in a folder named by its digest. */
  readonly folder: string;
  /** A file with the set as JSON; without it the variable STOKER_STAGE_FILES holds it. */
  readonly files?: string;
  /** Where it tells over HTTP how far it is; without it a file beside the download says it. */
  readonly progressPort?: number;
  /** What all sets of the folder may take. Those that STOKER_STAGE_KEEP does not name go when there is too little room. */
  readonly cacheBytesMax?: number;
}

const PROGRESS_EVERY_MS = 5000;

/** Resolves with the exit code: 0 when the files are there. */
export async function runStager(flags: StagerFlags, environment: NodeJS.ProcessEnv): Promise<number> {
  const log = createLog('stager', 'info');
  const stopping = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.once(name, () => stopping.abort(new Error(`${name} came`)));
  try {
    const set = readSet(flags, environment);
    const { path, isNew } = await stage(set, flags, { environment, signal: stopping.signal, log });
    log.info({ path, isNew }, 'the files are there');
    return 0;
  } catch (error) {
    const reason = error instanceof StageError ? error.reason : 'StagerFailed';
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`stoker stage: ${message}\n`);
    sayInStatus(environment, { reason, message });
    return 1;
  }
}

function readSet({ files }: StagerFlags, environment: NodeJS.ProcessEnv): FileSet {
  const text = files === undefined ? environment.STOKER_STAGE_FILES : readFileSync(files, 'utf8');
  if (text === undefined) throw new StageError('PlanInvalid', 'Name the files with --files, or in STOKER_STAGE_FILES.');
  const set = parseFileSet(text);
  if (typeof set === 'string') throw new StageError('PlanInvalid', `The list of files cannot be used: ${set}.`);
  return set;
}

interface Surroundings {
  readonly environment: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly log: Log;
}

async function stage(set: FileSet, flags: StagerFlags, { environment, signal, log }: Surroundings): Promise<Staged> {
  const client = createSourceClient({
    source: set.source,
    region: set.region ?? '',
    credentials: credentialsOf(environment),
    clock: systemClock,
  });
  const teller = await openTeller(set, flags, log);
  const logged = logProgress(log);
  const onProgress: StageOptions['onProgress'] = (doneBytes, totalBytes) => {
    teller.tell(doneBytes, totalBytes);
    logged(doneBytes, totalBytes);
  };
  const holder = { host: hostname(), pid: process.pid };
  const common = { clock: systemClock, rng: systemRng, folder: flags.folder, client, holder, isAlive, onProgress };
  const room = roomOf(flags, environment);
  const onEvicted = (digests: readonly string[]) =>
    log.info({ digests: digests.join(' ') }, 'sets were taken away to make room');
  try {
    return await stageFiles(set, { ...common, room, onEvicted }, signal);
  } finally {
    await teller.close();
    await client.close();
  }
}

/** Without the list nothing is known of who needs what, and nothing goes. */
function roomOf(
  { cacheBytesMax }: StagerFlags,
  { STOKER_STAGE_KEEP: kept }: NodeJS.ProcessEnv,
): RoomBounds | undefined {
  if (cacheBytesMax === undefined) return undefined;
  if (kept === undefined) {
    throw new StageError('PlanInvalid', 'Beside --cache-bytes-max, STOKER_STAGE_KEEP has to name the sets that stay.');
  }
  return { cacheBytesMax, keep: new Set(kept.split(',').filter((digest) => digest !== '')) };
}

/** A port that cannot be had costs nobody the download. */
async function openTeller(set: FileSet, { folder, progressPort }: StagerFlags, log: Log): Promise<ProgressTeller> {
  const file = () => writeProgress(folder, fileSetDigest(set.files), systemClock);
  if (progressPort === undefined) return file();
  return serveProgress({ port: progressPort }).catch((error: unknown) => {
    log.warn({ error: String(error) }, 'nobody can ask how far the download is');
    return file();
  });
}

function logProgress(log: Log): StageOptions['onProgress'] {
  let saidMs = systemClock.nowMs();
  return (doneBytes, totalBytes) => {
    if (systemClock.nowMs() - saidMs < PROGRESS_EVERY_MS) return;
    saidMs = systemClock.nowMs();
    const percent = Math.floor((100 * doneBytes) / totalBytes);
    log.info({ doneBytes, totalBytes }, `${percent} % of ${renderBytes(totalBytes)}`);
  };
}

function credentialsOf(environment: NodeJS.ProcessEnv) {
  return readCredentials({
    token: environment.STOKER_STAGE_TOKEN,
    username: environment.STOKER_STAGE_USERNAME,
    password: environment.STOKER_STAGE_PASSWORD,
    accessKeyId: environment.STOKER_STAGE_ACCESS_KEY_ID,
    secretAccessKey: environment.STOKER_STAGE_SECRET_ACCESS_KEY,
    sessionToken: environment.STOKER_STAGE_SESSION_TOKEN,
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** Where the kubelet looks for the last words of a container. Without a Pod there is nobody to tell. */
function sayInStatus(
  environment: NodeJS.ProcessEnv,
  said: { readonly reason: string; readonly message: string },
): void {
  if (environment.STOKER_IN_POD !== '1') return;
  const folder = join(environment.STOKER_MOUNT_ROOT ?? '/', 'dev');
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'termination-log'), JSON.stringify({ ...said, message: said.message.slice(0, 1000) }));
  } catch {
    // The log has it, too.
  }
}
