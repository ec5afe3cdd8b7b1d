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
  /** A sleeper stands in a slot that nobody holds. */
  readonly hasFreeSleeper: boolean;
}

export function readSupply(
  revision: string,
  slots: { readonly holding: readonly SlotView[]; readonly wanted: readonly SlotView[] },
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
    hasFreeSleeper: slots.holding.some((slot) => isFreeSleeper(slot, revision)),
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

function isFreeSleeper(slot: SlotView, revision: string): boolean {
  if (!slot.isUsable || awakeIn(slot) !== undefined) return false;
  return reportOf(slot, revision)?.rung === 'Asleep' && !slot.instances.some(({ rung }) => residentRungs.has(rung));
}
