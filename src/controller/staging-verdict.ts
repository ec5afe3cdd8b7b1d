// What is said of the files of a revision: the condition of a look, and what that means for pools, callers and people. Pure.
import type { Condition } from '../api/group.ts';
import type { Model } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import type { Pool } from '../api/pool.ts';
import { renderBytes, renderDuration } from '../lib/units.ts';
import { STAGE_BACKOFF } from './bounds.ts';
import type { StagingAdvance } from './staging-progress.ts';
import { weightsKeyOf } from './weight-volumes.ts';
import type { Outcome } from './work-queue.ts';

/** Of one revision and one volume. */
export type StagingStep =
  | { readonly type: 'staged' }
  | { readonly type: 'running'; readonly advance?: StagingAdvance | undefined; readonly outcome: Outcome }
  /** It cannot begin, or has failed. */
  | { readonly type: 'held'; readonly reason: string; readonly message: string; readonly outcome: Outcome };

export type StagingCondition = Omit<Condition, 'lastTransitionTime'>;

/** The next request brings what has no room while nobody asks. */
const NOT_CACHED = 'NotCached';

export function judgeStaging(
  { spec, metadata }: ModelRevision,
  { model, steps }: { readonly model: Model | undefined; readonly steps: readonly StagingStep[] },
): StagingCondition {
  const frame = { type: 'Staged', observedGeneration: metadata.generation ?? 0 } as const;
  const size = renderBytes(spec.weights?.sizeBytes ?? 0);
  if (model === undefined) {
    const message = 'No Model uses this revision, so nothing is brought anywhere.';
    return { ...frame, status: 'Unknown', reason: 'NotUsed', message };
  }
  if (steps.length === 0) {
    const message = `No pool of the Model has a volume for weights. Set spec.weights.claimName of the Pool ${model.spec.pools[0] ?? ''}.`;
    return { ...frame, status: 'False', reason: 'NoWeightVolume', message };
  }
  const held = steps.find((step) => step.type === 'held');
  if (held !== undefined) return { ...frame, status: 'False', reason: held.reason, message: held.message };
  if (steps.every(({ type }) => type === 'staged')) {
    return { ...frame, status: 'True', reason: 'Staged', message: `The files (${size}) are on every volume.` };
  }
  const running = steps.flatMap((step) => (step.type === 'running' ? (step.advance ?? []) : []));
  const message = describeAdvance(running, size);
  return { ...frame, status: 'False', reason: 'Staging', message };
}

/** Whoever waits waits for the first one. */
function describeAdvance(running: readonly StagingAdvance[], size: string): string {
  const [first] = [...running].sort((a, b) => b.doneBytes - a.doneBytes);
  if (first === undefined) return `The files (${size}) are being downloaded.`;
  if (first.doneBytes === first.totalBytes) return `Staging: all of ${size} is here and is being verified.`;
  const percent = Math.floor((100 * first.doneBytes) / first.totalBytes);
  return `Staging ${percent} % of ${size}: about ${renderDuration(first.leftMs)} are left.`;
}

export function sayTriedAgain(message: string): string {
  return `${message} It is tried again, after ${renderDuration(STAGE_BACKOFF.capMs)} at most.`;
}

/** Whether the slots of a pool find what the revision needs. */
export function isStagedFor(
  revision: ModelRevision,
  pool: Pool | undefined,
  places: Parameters<typeof weightsKeyOf>[1],
): boolean {
  if (revision.spec.weights?.fileSet === undefined) return true;
  const key = pool === undefined ? undefined : weightsKeyOf(pool, places);
  return key !== undefined && revision.status?.stagedIn?.includes(key) === true;
}

export interface StagingTrouble {
  readonly reason: string;
  readonly message: string;
  /** Waiting helps: it is under way, or the source is away for a moment. */
  readonly isPassing: boolean;
  /** Nothing is wrong: the next request brings them. */
  readonly isCold: boolean;
}

const passing: ReadonlySet<string> = new Set([
  'Staging',
  NOT_CACHED,
  'CacheFull',
  'SourceUnreachable',
  'StagerFailed',
  'NodeRestarted',
]);

/** Why nothing of a revision can start yet; undefined when its files are somewhere, or it needs none. */
export function stagingTroubleOf(revision: ModelRevision | undefined): StagingTrouble | undefined {
  if (revision?.spec.weights?.fileSet === undefined || (revision.status?.stagedIn ?? []).length > 0) return undefined;
  const found = revision.status?.conditions?.find(({ type }) => type === 'Staged');
  if (found === undefined || found.status !== 'False') {
    const message = 'The files are about to be downloaded.';
    return { reason: 'Staging', message, isPassing: true, isCold: false };
  }
  const { reason, message } = found;
  return { reason, message, isPassing: passing.has(reason), isCold: reason === NOT_CACHED };
}
