// What there is of one revision, as the scaler counts it, from slots as agents report them. Pure.
import { residentRungs } from '../../../api/link.ts';
import { ascentOf, awakeIn, idleMsOf, reportOf, type SlotView } from '../snapshot.ts';
import type { ClimbFrom } from './climb-history.ts';

export interface SupplyReading {
  /** Told to be awake; those of them that are; and those that climb or wait for their slot. */
  readonly ordered: number;
  readonly ready: number;
  readonly pending: readonly { readonly from: ClimbFrom; readonly ageMs: number }[];
  readonly inFlight: number;
  /** Time since one that is awake had anything to do; endless when none is. */
  readonly idleMs: number;
  /** Nobody has to leave a slot for one more: a sleeper stands in a free one or, where none sleeps, any is free. */
  readonly hasRoom: boolean;
}

export function readSupply(
  revision: string,
  slots: {
    readonly holding: readonly SlotView[];
    readonly wanted: readonly SlotView[];
    /** A slot that it may use stands free. */
    readonly isAnyFree: boolean;
  },
): SupplyReading {
  const reports = slots.holding.flatMap((slot) => reportOf(slot, revision) ?? []);
  const wanted = slots.wanted.map((slot) => reportOf(slot, revision));
  const ready = wanted.filter((report) => ascentOf(report) === 'Up');
  const idle = ready.flatMap((report) => (report === undefined ? [] : [idleMsOf(report)]));
  return {
    ordered: wanted.length,
    ready: ready.length,
    pending: wanted.flatMap((report) => readPending(report) ?? []),
    inFlight: reports.reduce((sum, report) => sum + report.inFlight, 0),
    idleMs: Math.min(Number.POSITIVE_INFINITY, ...idle),
    hasRoom: hasRoom(
      slots.holding.filter((slot) => reportOf(slot, revision)?.rung === 'Asleep'),
      slots.isAnyFree,
    ),
  };
}

/** What has failed is on no way up. */
function readPending(report: ReturnType<typeof reportOf>): SupplyReading['pending'][number] | undefined {
  const ascent = ascentOf(report);
  if (ascent === 'Up' || ascent === 'Failed') return undefined;
  const isWake = report !== undefined && wakeRungs.has(report.rung);
  return { from: isWake ? 'Asleep' : 'Staged', ageMs: ascent === 'Climbing' ? (report?.rungAgeMs ?? 0) : 0 };
}

const wakeRungs: ReadonlySet<string> = new Set(['Waking', 'Asleep', 'Sleeping', 'Draining', 'Awake']);

function hasRoom(sleeping: readonly SlotView[], isAnyFree: boolean): boolean {
  return sleeping.length === 0 ? isAnyFree : sleeping.some(isFreeSlot);
}

/** Nothing is resident in it, and nothing is to be. */
export function isFreeSlot(slot: SlotView): boolean {
  return slot.isUsable && awakeIn(slot) === undefined && !slot.instances.some(({ rung }) => residentRungs.has(rung));
}
