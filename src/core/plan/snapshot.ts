// What the planners see: one reading of the world, with every age brought up to the same moment. Plain data.
// Nothing here decides, and nothing is looked up later: a planner knows what is in its snapshot and no more.
import type { InstanceReport, Rung, SlotEngine, TargetInstance } from '../../api/link.ts';

/** Where the controller wants an instance: what it told the slot last. */
export interface Assignment {
  readonly model: string;
  readonly revision: string;
  readonly rung: TargetInstance['rung'];
}

/** Climbs in a row that failed, as far as this controller saw. */
export interface ClimbFailures {
  readonly count: number;
  /** Why the last one failed; it is kept while the next try is under way. */
  readonly last: { readonly reason: string; readonly message: string };
}

export interface InstanceView extends InstanceReport {
  /** Undefined after a climb that did not fail. */
  readonly failures: ClimbFailures | undefined;
}

export interface SlotView {
  readonly podUid: string;
  /** The Pod's name. */
  readonly name: string;
  readonly pool: string;
  /** Its agent is connected and has reported, and the slot is not leaving: it can be told something. */
  readonly isUsable: boolean;
  /** Its Pod is being deleted, or its agent was asked to end. */
  readonly isLeaving: boolean;
  /** Engines that its agent is too old for: it would refuse a whole target that names one. Missing: it knows all. */
  readonly lacks?: ReadonlySet<SlotEngine>;
  /** The image that its engines run from, by digest. Missing: that of the built-in engines. */
  readonly flavour?: string;
  /** Slots of one node share the way by which weights come. Missing: nothing is known, and all are on one. */
  readonly node?: string | undefined;
  /** Revisions whose files are not on its node. Missing: every file is where all slots of the pool see it. */
  readonly without?: ReadonlySet<string>;
  readonly instances: readonly InstanceView[];
  readonly assigned: readonly Assignment[];
}

/** What routers say about one model, all together. */
export interface ModelLoad {
  readonly queued: number;
  readonly inFlight: number;
  readonly oldestQueuedMs: number;
  readonly wakeLeaseMs: number;
  /** Estimated prompt tokens of each that is queued. */
  readonly waitingTokens?: readonly number[];
  /** Of those that instances have: prompt tokens that wait behind another prompt. */
  readonly engineTokens?: number;
}

/** How an instance that is wanted awake stands to that. */
export type Ascent = 'Up' | 'Climbing' | 'Waiting' | 'Failed';

const climbing: ReadonlySet<Rung> = new Set(['Starting', 'Waking']);

/** Waiting: the slot has not begun yet, because the target is on its way or another instance has to leave first. */
export function ascentOf(report: InstanceReport | undefined): Ascent {
  if (report === undefined) return 'Waiting';
  if (report.rung === 'Awake' && report.probed) return 'Up';
  if (report.rung === 'Failed') return 'Failed';
  return climbing.has(report.rung) ? 'Climbing' : 'Waiting';
}

/** Time since the instance had anything to do; 0 while it has. */
export function idleMsOf(report: InstanceReport): number {
  return report.inFlight > 0 ? 0 : Math.min(report.idleMs ?? Number.POSITIVE_INFINITY, report.rungAgeMs);
}

/** The instance of a revision in a slot, as last reported. */
export function reportOf(slot: SlotView, revision: string): InstanceView | undefined {
  return slot.instances.find((instance) => instance.revision === revision);
}

/** Trying again changes nothing about these until somebody does. A wrong probe is not among them: a new start mends a bad wake. */
const lasting: ReadonlySet<string> = new Set(['WeightsMissing', 'WeightsUnreadable', 'WeightsChanged', 'LoadFailed']);

/** What a caller is told at once: a failure that one more try is not likely to mend. The first of another kind is waited out. */
export function lastingFailure(
  report: InstanceView,
): { readonly reason: string; readonly message: string } | undefined {
  const { failure, failures, rung } = report;
  if (failure === undefined || (rung !== 'Failed' && rung !== 'Staged')) return undefined;
  return (failures?.count ?? 0) > 1 || lasting.has(failure.reason)
    ? { reason: failure.reason, message: failure.message }
    : undefined;
}

/** What of a revision decides which slots can run it. */
export interface EngineNeed {
  readonly engine?: SlotEngine;
  /** The image that it runs from. Missing: that of the built-in engines. */
  readonly flavour?: string;
  /** Its files have to be there. */
  readonly revision?: string;
}

/** Whether a slot has the engine and the files, and its agent knows the engine. */
export function canRun(slot: SlotView, need: EngineNeed = {}): boolean {
  if (need.revision !== undefined && slot.without?.has(need.revision) === true) return false;
  return hasFlavour(slot, need) && (need.engine === undefined || slot.lacks?.has(need.engine) !== true);
}

export function hasFlavour(slot: SlotView, need: EngineNeed): boolean {
  return slot.flavour === need.flavour;
}

export function awakeIn(slot: SlotView): Assignment | undefined {
  return slot.assigned.find((assignment) => assignment.rung === 'Awake');
}
