// What is said of the files of a revision: the condition of a look, and what that means for pools, callers and people. Pure.
import { type Condition, sayBefore } from '../api/group.ts';
import type { Model } from '../api/model.ts';
import type { ModelRevision } from '../api/model-revision.ts';
import type { Pool } from '../api/pool.ts';
import { renderBytes, renderDuration } from '../lib/units.ts';
import { STAGE_BACKOFF } from './bounds.ts';
import { noSlots, type World } from './observe.ts';
import type { StagingAdvance } from './staging-progress.ts';
import { isNodeLocal, type WeightPlaces, weightsKeyOf } from './weight-volumes.ts';
import type { Outcome } from './work-queue.ts';

/** Of one revision and one volume. */
export type StagingStep =
  | { readonly type: 'staged'; readonly outcome?: Outcome }
  | { readonly type: 'running'; readonly advance?: StagingAdvance | undefined; readonly outcome: Outcome }
  /** It cannot begin, or has failed. */
  | { readonly type: 'held'; readonly reason: string; readonly message: string; readonly outcome: Outcome };

export type StagingCondition = Omit<Condition, 'lastTransitionTime'>;

/** The next request brings what has no room while nobody asks. */
const NOT_CACHED = 'NotCached';
/** The next request makes a slot, and its node is where they are brought. */
const NO_NODE = 'NoNode';

/** Why there is no volume to bring files to. */
export type VolumeAbsence = 'NoVolume' | 'HostPathRefused' | 'NoSlot';

export interface StagingLook {
  readonly model: Model | undefined;
  readonly steps: readonly StagingStep[];
  readonly absence: VolumeAbsence;
}

export function judgeStaging(
  { spec, metadata }: ModelRevision,
  { model, steps, absence }: StagingLook,
): StagingCondition {
  const frame = { type: 'Staged', observedGeneration: metadata.generation ?? 0 } as const;
  const size = renderBytes(spec.weights?.sizeBytes ?? 0);
  if (model === undefined) {
    const message = 'No Model uses this revision, so nothing is brought anywhere.';
    return { ...frame, status: 'Unknown', reason: 'NotUsed', message };
  }
  if (steps.length === 0) return { ...frame, status: 'False', ...explainAbsence(absence, model.spec.pools[0] ?? '') };
  const held = steps.find((step) => step.type === 'held');
  // Whoever waits is not sent away while the files come to another volume.
  const isUnderWay = steps.some(({ type }) => type === 'running');
  if (held !== undefined && (passing.has(held.reason) || !isUnderWay))
    return { ...frame, status: 'False', reason: held.reason, message: held.message };
  if (steps.every(({ type }) => type === 'staged')) {
    return { ...frame, status: 'True', reason: 'Staged', message: `The files (${size}) are on every volume.` };
  }
  const running = steps.flatMap((step) => (step.type === 'running' ? (step.advance ?? []) : []));
  const sentences = [describeAdvance(running, size), ...(held === undefined ? [] : [held.message])];
  return { ...frame, status: 'False', reason: 'Staging', message: sentences.join(' ') };
}

function explainAbsence(absence: VolumeAbsence, pool: string): { readonly reason: string; readonly message: string } {
  switch (absence) {
    case 'NoSlot':
      return { reason: 'NoNode', message: `The files are brought to a node once the Pool ${pool} has a slot there.` };
    case 'HostPathRefused': {
      const message = `The Pool ${pool} keeps weights in a folder of the node (spec.weights.hostPath), and this installation does not allow that. Set slots.allowHostPath of the chart, or use spec.weights.claimName.`;
      return { reason: 'HostPathForbidden', message };
    }
    case 'NoVolume': {
      const message = `No pool of the Model has a volume for weights. Set spec.weights.claimName of the Pool ${pool}.`;
      return { reason: 'NoWeightVolume', message };
    }
  }
}

/** Whoever waits waits for the first one. */
function describeAdvance(running: readonly StagingAdvance[], size: string): string {
  const [first] = [...running].sort((a, b) => b.doneBytes - a.doneBytes);
  if (first === undefined) return `The files (${size}) are being downloaded.`;
  if (first.doneBytes === first.totalBytes) return `Staging: all of ${size} is here and is being verified.`;
  const percent = Math.floor((100 * first.doneBytes) / first.totalBytes);
  const left = first.saidLeftMs === undefined ? '.' : `: about ${renderDuration(first.saidLeftMs)} are left.`;
  return `Staging ${percent} % of ${size}${left}`;
}

export function sayTriedAgain(said: string, advice: string | undefined): string {
  const next = `It is tried again, after ${renderDuration(STAGE_BACKOFF.capMs)} at most.`;
  return sayBefore(said, advice === undefined ? next : `${advice} ${next}`);
}

/** Whether all slots of a pool find what the revision needs. */
function isStagedFor(revision: ModelRevision, pool: Pool | undefined, places: WeightPlaces): boolean {
  if (revision.spec.weights?.fileSet === undefined) return true;
  const key = pool === undefined ? undefined : weightsKeyOf(pool, places);
  return key !== undefined && revision.status?.stagedIn?.includes(key) === true;
}

/** Where each node has files of its own, the first slot is made before anything is brought: it says which node. */
export function mayRunIn(
  revision: ModelRevision,
  name: string,
  { world, places }: { readonly world: World; readonly places: WeightPlaces },
): boolean {
  const pool = world.pools.get(name);
  if (pool === undefined || !isNodeLocal(pool, places)) return isStagedFor(revision, pool, places);
  const { existing, leaving } = world.slotCounts.get(name) ?? noSlots;
  const { name: wanted } = revision.metadata;
  return existing <= leaving || world.slots.some((slot) => slot.pool === name && slot.without?.has(wanted) === false);
}

/** The world, in which each slot says what is not on its node. Every plan asks for it, with hundreds of slots and revisions. */
export function noteMissingFiles(world: World, places: WeightPlaces): World {
  const locals = new Set([...world.pools.values()].filter((pool) => isNodeLocal(pool, places)));
  if (locals.size === 0) return world;
  const revisions = [...world.revisions.values()]
    .filter(({ spec }) => spec.weights?.fileSet !== undefined)
    .map(({ metadata, status }) => ({ name: metadata.name, stagedIn: new Set(status?.stagedIn) }));
  const slots = world.slots.map((slot) => {
    const pool = world.pools.get(slot.pool);
    if (pool === undefined || !locals.has(pool)) return slot;
    const key = weightsKeyOf(pool, places, slot.node);
    const missing = revisions.filter(({ stagedIn }) => key === undefined || !stagedIn.has(key));
    return { ...slot, without: new Set(missing.map(({ name }) => name)) };
  });
  return { ...world, slots };
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
  NO_NODE,
  'CacheFull',
  'SourceUnreachable',
  'StagerFailed',
  'NodeRestarted',
  'Unschedulable',
  'NotStarted',
  'Evicted',
  'Preempted',
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
  return { reason, message, isPassing: passing.has(reason), isCold: reason === NOT_CACHED || reason === NO_NODE };
}
