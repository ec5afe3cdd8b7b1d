// What routers are told: which instances they may use and how much of each, and how warm every model is. Pure.
// An instance that is not awake, probed, wanted awake and in a staying slot is in no row.
import type { Endpoint, ModelWarmth, Rung, Upstream } from '../../api/link.ts';
import { type ClimbTimes, estimateClimb } from './climb.ts';
import { ascentOf, awakeIn, type InstanceView, lastingFailure, reportOf, type SlotView } from './snapshot.ts';

export interface RoutedSlot extends SlotView {
  /** host:port of the agent's data path; undefined while it is not known. */
  readonly address: string | undefined;
  /** By instance: requests that its engine was started for. It takes no more, whatever its Model says by now. */
  readonly places: ReadonlyMap<string, number>;
}

export interface RoutedModel {
  readonly model: string;
  /** The revision that answers. */
  readonly stable: string | undefined;
  readonly concurrency: number;
  readonly weightsBytes: number;
  readonly times: ClimbTimes;
  /** Why it cannot be served, when that has nothing to do with an instance. */
  readonly failure: ModelWarmth['failure'];
  /** What has to happen before its first instance can climb, in milliseconds: a slot comes up, an occupant leaves. */
  readonly waitMs: number;
}

/** An endpoint before it is divided over routers. */
export interface OpenInstance extends Omit<Endpoint, 'share'> {
  readonly concurrency: number;
}

export function listOpenInstances(slots: readonly RoutedSlot[], models: readonly RoutedModel[]): OpenInstance[] {
  const byRevision = new Map(models.flatMap((model) => (model.stable === undefined ? [] : [[model.stable, model]])));
  return slots.flatMap((slot): OpenInstance[] => {
    const awake = awakeIn(slot);
    const model = awake === undefined ? undefined : byRevision.get(awake.revision);
    const report = awake === undefined ? undefined : reportOf(slot, awake.revision);
    if (slot.isLeaving || slot.address === undefined || model === undefined || report === undefined) return [];
    if (ascentOf(report) !== 'Up') return [];
    const { podUid, address } = slot;
    const concurrency = Math.min(model.concurrency, slot.places.get(report.id) ?? model.concurrency);
    return [{ instance: report.id, podUid, model: model.model, revision: report.revision, address, concurrency }];
  });
}

/** An upstream before it is divided over routers. */
export interface OpenUpstream extends Omit<Upstream, 'share'> {
  readonly concurrency: number;
}

export interface RouterNeed {
  readonly name: string;
  /** Models that it has requests for. */
  readonly models: ReadonlySet<string>;
}

/**
 * Each router's part of one instance. Routers with requests for the model go first; with more of them than places, they take
 * turns. The parts never add up to more than the instance serves.
 */
export function divideShares(
  instance: Pick<OpenInstance, 'model' | 'concurrency'>,
  routers: readonly RouterNeed[],
  turn: number,
): ReadonlyMap<string, number> {
  const asking = routers.filter((router) => router.models.has(instance.model));
  const sharers = asking.length > 0 ? asking : routers;
  const each = Math.floor(instance.concurrency / Math.max(1, sharers.length));
  const rest = instance.concurrency - each * sharers.length;
  const first = each === 0 ? turn : 0;
  return new Map(
    sharers.map((router, at) => {
      const place = (at - (first % sharers.length) + sharers.length) % sharers.length;
      return [router.name, each + (place < rest ? 1 : 0)];
    }),
  );
}

/** Warmest first: what people are told of several instances. */
const warmest: readonly Rung[] = [
  'Awake',
  'Waking',
  'Starting',
  'Asleep',
  'Sleeping',
  'Draining',
  'Stopping',
  'Staged',
  'Failed',
  'Absent',
];

export function describeWarmth(model: RoutedModel, slots: readonly SlotView[]): ModelWarmth {
  const { stable, times, weightsBytes } = model;
  const best = stable === undefined ? undefined : findWarmest(stable, slots);
  const rung = best === undefined ? (stable === undefined ? 'Absent' : 'Staged') : shownRung(best);
  const climbMs = estimateClimb({ rung, rungAgeMs: best?.rungAgeMs ?? 0 }, times, weightsBytes);
  const isOnItsWay = rung === 'Awake' || rung === 'Starting' || rung === 'Waking';
  const retryInMs = best?.failure?.retryInMs ?? 0;
  const failure = model.failure ?? (best === undefined || retryInMs <= 0 ? undefined : lastingFailure(best));
  return {
    model: model.model,
    rung,
    etaMs: Math.round(climbMs + (isOnItsWay ? 0 : model.waitMs + retryInMs)),
    ...(failure === undefined ? {} : { failure }),
  };
}

/** The warmest instance of a revision in a slot that stays. */
export function findWarmest(revision: string, slots: readonly SlotView[]): InstanceView | undefined {
  let best: InstanceView | undefined;
  for (const slot of slots) {
    const report = slot.isLeaving ? undefined : reportOf(slot, revision);
    if (report === undefined) continue;
    if (best === undefined || warmest.indexOf(shownRung(report)) < warmest.indexOf(shownRung(best))) best = report;
  }
  return best;
}

/** An instance whose probe is not through is not awake for anybody. */
function shownRung(report: InstanceView): Rung {
  return report.rung === 'Awake' && !report.probed ? 'Waking' : report.rung;
}
