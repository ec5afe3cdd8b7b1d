// T4 and T5: two weeks of services with many clients. The public recordings of such weeks are not in this repository, so loads of
// their published shape are drawn from a seed: clients, variation of gaps, and how far the mean is below the busiest time
// (scaling.md §1.8). T4 takes each client as a model of its own; T5 takes a service as one model, as a fluid.
import { createReserve, type Reserve, type ReservePolicy } from '../../src/core/plan/pool/reserve.ts';
import { type FluidLoad, fixedFluid, fluidReplicas, runFluid, stokerFluid } from '../../src/sim/fluid.ts';
import { drawService, type ServiceShape } from '../../src/sim/load/service.ts';
import { modelProfiles } from '../../src/sim/profile.ts';
import { rankOf } from '../../src/sim/summary.ts';
import { beside, judged, type Row } from './scaling-rows.ts';

const DAYS = 14;
const SECONDS = DAYS * 86_400;
const MINUTES = DAYS * 1440;
const common = { ratePerSecond: 20, days: DAYS, seed: 1 };
/** Swings and weather are chosen so that the mean over the busiest ten minutes of a thousand comes near the published figure. */
const services: Readonly<Record<string, { readonly shape: ServiceShape; readonly published: number }>> = {
  'm-large': {
    shape: { ...common, clients: 162, variation: 3.5, daySwing: 0.6, weather: 0.2, ownWeather: 0.4 },
    published: 0.38,
  },
  'm-mid': {
    shape: { ...common, clients: 109, variation: 12, daySwing: 0.25, weather: 0.08, ownWeather: 0.25 },
    published: 0.52,
  },
  'm-small': {
    shape: { ...common, clients: 43, variation: 3.6, daySwing: 0.55, weather: 0.22, ownWeather: 0.4 },
    published: 0.37,
  },
};
const model = { profile: modelProfiles.Size70B, firstTokenMsMax: 5000 };
/** Means of a chat. */
const lengths = { promptTokens: 1200, outputTokens: 225 };

interface Weeks {
  readonly name: string;
  readonly published: number;
  readonly load: FluidLoad;
  /** Requests of each client and minute. */
  readonly clients: readonly Uint16Array[];
}

export async function runWeeks(): Promise<Row[]> {
  const weeks = Object.entries(services).map(([name, { shape, published }]): Weeks => {
    const arrivals = new Uint16Array(SECONDS);
    const clients = Array.from({ length: shape.clients }, () => new Uint16Array(MINUTES));
    drawService(shape, (client, atMs) => {
      addOne(arrivals, Math.floor(atMs / 1000));
      const one = clients[client];
      if (one !== undefined) addOne(one, Math.floor(atMs / 60_000));
    });
    return { name, published, load: { arrivals, ...lengths }, clients };
  });
  return Promise.resolve([...judgeReserves(weeks), ...judgeHours(weeks)]);
}

function addOne(counts: Uint16Array, index: number): void {
  counts[index] = (counts[index] ?? 0) + 1;
}

const SHARE = 0.99;
const policy: ReservePolicy = { aim: { type: 'HitRate', share: SHARE }, min: 0, max: 100_000 };
const REFILL_MS = 600_000;
const RESERVE_RATIO_MAX = 1 / 3;
const COVERED = 0.97;

/** What is kept free after the first week, and how many of the rises of the second one it would have met. */
function judgeReserves(weeks: readonly Weeks[]): Row[] {
  return weeks.map(({ name, clients }, index) => {
    const demands = clients.map(demandOf);
    const separate = demands.map(tryReserve);
    const shared = tryReserve(addUp(demands));
    const sum = separate.reduce((slots, { wanted }) => slots + wanted, 0);
    const ratio = shared.wanted / sum;
    const covered = shared.met / shared.rises;
    const alone = separate.reduce((met, one) => met + one.met, 0) / separate.reduce((all, one) => all + one.rises, 0);
    const measured =
      `${shared.wanted} shared for ${sum} separate (${ratio.toFixed(2)} ×); ` +
      `week 2: ${percent(covered)} and ${percent(alone)} of the rises met`;
    if (index > 0) return beside(`   the same, ${name}: ${clients.length} models`, measured);
    return judged(`T4 generated as ${name}: ${clients.length} models`, measured, {
      target: `≤ 0.33 ×, ≥ ${COVERED * 100} % met`,
      isMet: ratio <= RESERVE_RATIO_MAX && covered >= COVERED,
    });
  });
}

/** Slots that a model is wanted awake in, by the slow window of the scaler and its hold. */
function demandOf(counts: Uint16Array): Uint16Array {
  const asked = counts.map((count, minute) => {
    const ratePerSecond = (count + (counts[minute - 1] ?? 0)) / 120;
    return Math.ceil(fluidReplicas(ratePerSecond, lengths, model.profile));
  });
  return asked.map((count, minute) => Math.max(count, asked[minute - 1] ?? 0, asked[minute - 2] ?? 0));
}

function addUp(demands: readonly Uint16Array[]): Uint16Array {
  const sum = new Uint16Array(MINUTES);
  for (const demand of demands) {
    for (const [minute, count] of demand.entries()) sum[minute] = (sum[minute] ?? 0) + count;
  }
  return sum;
}

function tryReserve(demand: Uint16Array): { readonly wanted: number; readonly rises: number; readonly met: number } {
  const { wanted } = watch(demand, 0, MINUTES / 2).decide(policy, false);
  const { days } = watch(demand, MINUTES / 2, MINUTES).state();
  const count = (from: number, to: number) =>
    days.reduce((total, { rises }) => total + rises.slice(from, to).reduce((part, rise) => part + rise, 0), 0);
  return { wanted, rises: count(0, Number.POSITIVE_INFINITY), met: count(0, wanted + 1) };
}

function watch(demand: Uint16Array, from: number, to: number): Reserve {
  const reserve = createReserve();
  for (let minute = from; minute < to; minute += 1) {
    const nowMs = minute * 60_000;
    reserve.note({ nowMs, wallMs: nowMs, demand: demand[minute] ?? 0, refillMs: REFILL_MS });
  }
  return reserve;
}

const HOURS_SHARE_MAX = 0.6;
const WITHIN = 0.99;

/** The scaler against a fleet for all but the busiest thousandth of ten-minute windows, both at the same use. */
function judgeHours(weeks: readonly Weeks[]): Row[] {
  const runs = weeks.map((week) => {
    const { mean, busiest } = rateOf(week.load);
    const count = Math.ceil(fluidReplicas(busiest, week.load, model.profile));
    const fixed = runFluid(week.load, model, fixedFluid(count));
    const ours = runFluid(week.load, model, stokerFluid(week.load, model));
    return { week, fixed, ours, flatness: mean / busiest };
  });
  const sum = (hours: (one: (typeof runs)[number]) => number) => runs.reduce((total, one) => total + hours(one), 0);
  const share = sum(({ ours }) => ours.awakeHours) / sum(({ fixed }) => fixed.awakeHours);
  const worst = Math.min(...runs.map(({ ours }) => ours.within));
  const total = judged(
    'T5 generated: three services together',
    `${percent(share)} of the fixed hours, worst ${percent(worst)}`,
    {
      target: `≤ ${HOURS_SHARE_MAX * 100} % in total, each ≥ ${WITHIN * 100} %`,
      isMet: share <= HOURS_SHARE_MAX && worst >= WITHIN,
    },
  );
  const each = runs.map(({ week, fixed, ours, flatness }) => {
    const part = `${percent(ours.awakeHours / fixed.awakeHours)} of ${fixed.awakeHours.toFixed(0)} h`;
    const shape = `mean ${flatness.toFixed(2)} of the busiest (published ${week.published})`;
    const served = `${percent(ours.within)} in time, fixed ${percent(fixed.within)}`;
    const isAbove = ours.awakeHours > HOURS_SHARE_MAX * fixed.awakeHours;
    const why = isAbove ? '; alone above the target: so level a service has little to save' : '';
    return beside(`   ${week.name}`, `${part}; ${served}; ${shape}${why}`);
  });
  return [total, ...each];
}

function rateOf({ arrivals }: FluidLoad): { readonly mean: number; readonly busiest: number } {
  const windows = Array.from({ length: SECONDS / 600 }, (_, window) =>
    arrivals.subarray(window * 600, (window + 1) * 600).reduce((sum, count) => sum + count, 0),
  );
  const total = windows.reduce((sum, count) => sum + count, 0);
  return {
    mean: total / SECONDS,
    busiest:
      rankOf(
        windows.sort((a, b) => a - b),
        0.999,
      ) / 600,
  };
}

function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}
