// How many slots stand free: counted by hand, replayed against a pool with slots that take time, and judged on days that it
// was not fitted to.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createReserve, type Reserve, type ReservePolicy } from '../../../../../src/core/plan/pool/reserve.ts';
import { createRng } from '../../../../../src/lib/rng.ts';

const REFILL_MS = 60_000;
const DAY_MS = 86_400_000;
const aimed = (share: number, changes: Partial<ReservePolicy> = {}): ReservePolicy => ({
  aim: { type: 'HitRate', share },
  min: 0,
  max: 64,
  ...changes,
});

function tell(reserve: Reserve, demands: readonly (readonly [number, number])[], refillMs = REFILL_MS): void {
  for (const [atMs, demand] of demands) reserve.note({ nowMs: atMs, wallMs: atMs, demand, refillMs });
}

/** A pool that is told every 10 s, for so long. */
function watch(reserve: Reserve, demandAt: (atMs: number) => number, span: { fromMs: number; toMs: number }): void {
  for (let atMs = span.fromMs; atMs < span.toMs; atMs += 10_000) tell(reserve, [[atMs, demandAt(atMs)]]);
}

describe('how many slots stand free', () => {
  test('three that are wanted at once need three', () => {
    const reserve = createReserve();
    tell(reserve, [
      [0, 0],
      [10_000, 3],
    ]);
    assert.deepEqual(reserve.state().days[0]?.rises, [0, 1, 1, 1]);
    assert.equal(reserve.decide(aimed(0.99), false).wanted, 3);
    assert.equal(reserve.decide(aimed(0.6), false).wanted, 2);
  });

  test('three that come one refill time after the other need one', () => {
    const reserve = createReserve();
    watch(reserve, (atMs) => Math.floor(atMs / (2 * REFILL_MS)), { fromMs: 0, toMs: 8 * REFILL_MS });
    assert.equal(reserve.decide(aimed(0.99), false).wanted, 1);
  });

  test('one that goes and comes back while its slot is still there needs none', () => {
    const reserve = createReserve();
    tell(reserve, [
      [0, 2],
      [5000, 1],
      [10_000, 2],
    ]);
    assert.deepEqual(reserve.state().days[0]?.rises, [1]);
    const { wanted, sentence } = reserve.decide(aimed(0.99), false);
    assert.equal(wanted, 0);
    assert.equal(
      sentence,
      'No slot has to stand free: 99 % of the wakes of the last days needed none at once or within the 60 s that a new one takes.',
    );
  });

  test('a model that sleeps needs one before anything was seen', () => {
    const { wanted, sentence } = createReserve().decide(aimed(0.99), true);
    assert.equal(wanted, 1);
    assert.equal(sentence, '1 slot has to stand free: a model sleeps that may be needed next.');
    assert.equal(createReserve().decide(aimed(0.99), false).wanted, 0);
  });

  test('the least and the most hold, and say so', () => {
    const reserve = createReserve();
    tell(reserve, [
      [0, 0],
      [10_000, 5],
    ]);
    const { wanted, sentence } = reserve.decide(aimed(0.99, { max: 2 }), true);
    assert.equal(wanted, 2);
    assert.equal(sentence, '2 slots have to stand free: 5 would be right, and there may be no more than 2.');
    const least = createReserve().decide(aimed(0.99, { min: 3 }), true);
    assert.equal(least.sentence, '3 slots have to stand free: spare.min is 3.');
  });

  test('money: one more as long as it saves more than it costs', () => {
    const reserve = createReserve();
    // Twice an hour two are wanted at once, and once a day four are.
    const demandAt = (atMs: number) => (atMs % DAY_MS === 3_600_000 ? 4 : atMs % 1_800_000 === 0 ? 2 : 0);
    watch(reserve, demandAt, { fromMs: 0, toMs: DAY_MS });
    const decide = (lateWake: number) =>
      reserve.decide({ aim: { type: 'Cost', lateWake, slotHour: 2 }, min: 0, max: 64 }, false).wanted;
    // Two late wakes in an hour are saved by the first and by the second; the third and fourth save one in a day.
    assert.equal(decide(0.5), 0);
    assert.equal(decide(1.5), 2);
    assert.equal(decide(40), 2);
    assert.equal(decide(60), 4);
  });

  test('what is older than two weeks is forgotten', () => {
    const reserve = createReserve();
    tell(reserve, [
      [0, 0],
      [10_000, 9],
    ]);
    watch(reserve, (atMs) => (atMs % 600_000 === 0 ? 1 : 0), { fromMs: 13 * DAY_MS, toMs: 13 * DAY_MS + 7_200_000 });
    assert.equal(reserve.decide(aimed(0.99), false).wanted, 9);
    watch(reserve, (atMs) => (atMs % 600_000 === 0 ? 1 : 0), { fromMs: 14 * DAY_MS, toMs: 14 * DAY_MS + 7_200_000 });
    assert.equal(reserve.decide(aimed(0.99), false).wanted, 1);
  });

  /** Rises by so many at once, and is watched for so long after that. */
  function rise(
    reserve: Reserve,
    from: { readonly nowMs: number; readonly wallMs: number },
    by: number,
    forMs: number,
  ) {
    for (let passedMs = 0; passedMs <= forMs; passedMs += 10_000) {
      const demand = passedMs === 10_000 ? by : 0;
      reserve.note({ nowMs: from.nowMs + passedMs, wallMs: from.wallMs + passedMs, demand, refillMs: REFILL_MS });
    }
    return from.nowMs + forMs + 10_000;
  }
  const hour = 3_600_000;
  const daysOf = (reserve: Reserve) => reserve.state().days.map(({ day }) => day);

  test('a clock that was ahead for hours loses what was counted then, and nothing before', () => {
    const reserve = createReserve();
    const set = rise(reserve, { nowMs: 0, wallMs: 20 * DAY_MS }, 2, 2 * hour);
    const right = rise(reserve, { nowMs: set, wallMs: 25 * DAY_MS }, 9, 3 * hour);
    assert.deepEqual(daysOf(reserve), [20, 25]);
    rise(reserve, { nowMs: right, wallMs: 20 * DAY_MS + 5 * hour }, 1, hour);
    assert.deepEqual(daysOf(reserve), [20]);
    assert.equal(reserve.decide(aimed(0.99), false).wanted, 2);
  });

  test('a clock that is wrong for minutes loses nothing, whether it is ahead or behind', () => {
    for (const wrongMs of [300 * DAY_MS, 0]) {
      const before = createReserve();
      const off = rise(before, { nowMs: 0, wallMs: 20 * DAY_MS }, 4, hour / 2);
      const right = rise(before, { nowMs: off, wallMs: wrongMs }, 1, 600_000);
      // A controller that starts in between reads what was written.
      const reserve = createReserve(before.state());
      rise(reserve, { nowMs: right, wallMs: 20 * DAY_MS + hour }, 1, 2 * hour);
      assert.deepEqual(daysOf(reserve), [20]);
      assert.equal(reserve.decide(aimed(0.99), false).wanted, 4);
    }
  });

  test('another controller may have been past midnight already', () => {
    const reserve = createReserve();
    const next = rise(reserve, { nowMs: 0, wallMs: 21 * DAY_MS }, 4, hour);
    rise(reserve, { nowMs: next, wallMs: 21 * DAY_MS - 2 * hour }, 1, 1.5 * hour);
    assert.deepEqual(daysOf(reserve), [20, 21]);
    assert.equal(reserve.decide(aimed(0.99), false).wanted, 4);
  });

  test('of a day no more than a day is watched, whatever was written or the clock says', () => {
    const written = createReserve({ days: [{ day: 300, watchedMs: 99_999_000, rises: [1] }] });
    assert.equal(written.state().days[0]?.watchedMs, DAY_MS);
    const stopped = createReserve();
    for (let nowMs = 0; nowMs < 2 * DAY_MS; nowMs += 60_000) {
      stopped.note({ nowMs, wallMs: 5 * DAY_MS, demand: 0, refillMs: REFILL_MS });
    }
    assert.deepEqual(stopped.state().days, [{ day: 5, watchedMs: DAY_MS, rises: [] }]);
  });

  test('goes on from what it knew', () => {
    const before = createReserve();
    tell(before, [
      [0, 0],
      [10_000, 4],
    ]);
    const state = JSON.parse(JSON.stringify(before.state()));
    const after = createReserve(state);
    assert.deepEqual(after.decide(aimed(0.99), false).wanted, 4);
    tell(after, [
      [20_000, 0],
      [30_000, 1],
    ]);
    assert.deepEqual(after.state().days[0]?.rises, [0, 2, 1, 1, 1]);
  });
});

test('of the wakes in a week that it did not see before, as many find a free slot as were asked for', () => {
  for (const share of [0.9, 0.99]) {
    const reserve = createReserve();
    const demand = randomDemand(7);
    watch(reserve, demand, { fromMs: 0, toMs: 7 * DAY_MS });
    const { wanted } = reserve.decide(aimed(share), false);
    const free = hitShare(demand, wanted, { fromMs: 7 * DAY_MS, toMs: 14 * DAY_MS });
    assert.ok(free >= share - 0.01, `${free} of ${share} with ${wanted}`);
    const fewer = hitShare(demand, wanted - 1, { fromMs: 7 * DAY_MS, toMs: 14 * DAY_MS });
    assert.ok(wanted > 1 && fewer < share + 0.005, `${fewer} of ${share} with one less than ${wanted}`);
  }
});

/** Models that wake by chance, some together, and stay for a while. */
function randomDemand(seed: number): (atMs: number) => number {
  const rng = createRng(seed);
  const steps = new Int32Array((14 * DAY_MS) / 10_000);
  for (let wake = 0; wake < 14 * 200; wake += 1) {
    const at = rng.below(steps.length);
    const size = 1 + rng.below(4);
    const stay = 6 + rng.below(60);
    for (let step = at; step < Math.min(steps.length, at + stay); step += 1) steps[step] = (steps[step] ?? 0) + size;
  }
  return (atMs) => steps[Math.floor(atMs / 10_000)] ?? 0;
}

/** Slots are ordered for what is wanted and so many more, are there a refill time later, and go at once. */
function hitShare(
  demandAt: (atMs: number) => number,
  spare: number,
  { fromMs, toMs }: { fromMs: number; toMs: number },
) {
  let hits = 0;
  let rises = 0;
  for (let atMs = fromMs + 10_000; atMs < toMs; atMs += 10_000) {
    const before = demandAt(atMs - 10_000);
    const slots = Math.max(before, demandAt(atMs - REFILL_MS) + spare);
    for (let one = before + 1; one <= demandAt(atMs); one += 1) {
      rises += 1;
      if (one <= slots) hits += 1;
    }
  }
  return hits / rises;
}

test('whatever comes, it stays within its bounds and small', () => {
  const readings = fc.array(fc.tuple(fc.nat(3_600_000), fc.nat(2000), fc.nat(900_000), fc.nat(40)), { maxLength: 60 });
  fc.assert(
    fc.property(readings, fc.nat(9999), fc.nat(20), fc.nat(20), fc.boolean(), (told, points, low, more, sleeps) => {
      const reserve = createReserve();
      let nowMs = 0;
      for (const [passedMs, demand, refillMs, day] of told) {
        nowMs += passedMs;
        // The clock of the wall goes anywhere.
        reserve.note({ nowMs, wallMs: nowMs + day * DAY_MS, demand, refillMs });
      }
      const { wanted } = reserve.decide(aimed(points / 10_000, { min: low, max: low + more }), sleeps);
      assert.ok(wanted >= low && wanted <= low + more);
      const { days } = reserve.state();
      assert.ok(days.length <= 14 && days.every(({ rises, watchedMs }) => rises.length <= 257 && watchedMs <= DAY_MS));
      assert.ok(
        days.every(({ day }, index) => day > (days[index - 1]?.day ?? -1)),
        'the oldest first, each once',
      );
      assert.deepEqual(createReserve({ days }).state(), { days });
    }),
  );
});
