// Slots, claims and reports for tests of placement, with everything that a test does not name filled in.
import type { Rung } from '../../src/api/link.ts';
import type { Claim, PlaceSnapshot } from '../../src/core/plan/placement.ts';
import type { Assignment, InstanceView, SlotView } from '../../src/core/plan/snapshot.ts';

export function reportOn(revision: string, rung: Rung, changes: Partial<InstanceView> = {}): InstanceView {
  return {
    id: `pod/${revision}/1`,
    model: modelOf(revision),
    revision,
    rung,
    probed: rung === 'Awake',
    inFlight: 0,
    rungAgeMs: 60_000,
    failures: undefined,
    ...changes,
  };
}

/** `a-1` is a revision of `a`. */
function modelOf(revision: string): string {
  return revision.split('-')[0] ?? revision;
}

export function slotWith(
  name: string,
  instances: readonly InstanceView[] = [],
  changes: Partial<SlotView> & { assigned?: readonly Assignment[] } = {},
): SlotView {
  return {
    podUid: `uid-${name}`,
    name,
    pool: 'default',
    isUsable: true,
    isLeaving: false,
    instances,
    assigned: [],
    ...changes,
  };
}

export function assign(revision: string, rung: Assignment['rung']): Assignment {
  return { model: modelOf(revision), revision, rung };
}

/** A slot in which this revision is awake, with others asleep beside it. */
export function awakeSlot(
  name: string,
  revision: string,
  changes: Partial<InstanceView> = {},
  asleep: readonly string[] = [],
): SlotView {
  const instances = [reportOn(revision, 'Awake', changes), ...asleep.map((one) => reportOn(one, 'Asleep'))];
  return slotWith(name, instances, {
    assigned: [assign(revision, 'Awake'), ...asleep.map((one) => assign(one, 'Asleep'))],
  });
}

export function claimFor(revision: string, desired: number, changes: Partial<Claim> = {}): Claim {
  return {
    model: modelOf(revision),
    revision,
    pools: ['default'],
    desired,
    min: 0,
    canSleep: true,
    isBusy: false,
    isPatient: false,
    waitedMs: 0,
    ...changes,
  };
}

export function placeSnapshot(
  slots: readonly SlotView[],
  claims: readonly Claim[],
  changes: Partial<PlaceSnapshot> & { room?: number; sleepersPerSlotMax?: number; sleeperBytes?: number } = {},
): PlaceSnapshot {
  const { room = 0, sleepersPerSlotMax = 8, sleeperBytes, ...rest } = changes;
  const pools = [{ name: 'default', room, sleepersPerSlotMax, sleeperBytes }];
  return { slots, claims, pools, isComplete: true, ...rest };
}
