// The scaler of one model: the formula by hand, the order it leads to, and what may never come out of it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { computeNeed, type NeedInput } from '../../../../../src/core/plan/scale/need.ts';
import { planOrder } from '../../../../../src/core/plan/scale/order.ts';
import {
  createScaler,
  type Scaler,
  type ScalerFigures,
  type ScalerInput,
} from '../../../../../src/core/plan/scale/scaler.ts';
import { scaleDefaults } from '../../../../../src/core/plan/scale/settings.ts';
import { guess70B, scalerInput } from '../../../../support/scaler.ts';

const nothing = { requests: 0, promptTokens: 0 };

function needInput(changes: Partial<NeedInput> = {}): NeedInput {
  return {
    cost: { stepMs: 29.5, perSequenceMs: 0.35, perPromptTokenMs: 0.1 },
    outputTokens: 0,
    objective: { firstTokenMsMax: 5000, gapMsMax: 100, sequencesMax: 64 },
    slow: nothing,
    fast: nothing,
    latest: nothing,
    slowMs: 120_000,
    fastMs: 15_000,
    latestMs: 2000,
    waitingTokens: [],
    inFlight: 0,
    ready: 1,
    engineTokens: 0,
    headroomTokens: 0,
    wakeMs: 3000,
    lagMs: 100,
    forecastFloor: 0,
    keepUp: 0,
    longPromptTokens: 1000,
    ...changes,
  };
}

const near = (actual: number, expected: number) => assert.ok(Math.abs(actual - expected) < 1e-9, `${actual}`);

describe('the need', () => {
  test('work over a window is the share of replicas that it keeps busy', () => {
    // 1,200 requests of 1,000 prompt tokens: 100 ms each, so 120 s of one replica in 120 s.
    const need = computeNeed(needInput({ slow: { requests: 1200, promptTokens: 1_200_000 } }), scaleDefaults);
    near(need.slow, 1);
    near(need.base, 1 / 0.82);
  });

  test('answers count by the batch that keeps the pace', () => {
    const need = computeNeed(needInput({ outputTokens: 100, fast: { requests: 15, promptTokens: 0 } }), scaleDefaults);
    near(need.fast, (15 * 100 * (29.5 / 64 + 0.35)) / 15_000);
    near(need.excess, need.fast / 0.95);
  });

  test('a long prompt counts for no more than it may wait', () => {
    const one = computeNeed(needInput({ waitingTokens: [500_000] }), scaleDefaults);
    near(one.backlogMs, 3000);
    near(one.backlog, 1);
    const many = computeNeed(needInput({ waitingTokens: [10_000, 10_000, 10_000], engineTokens: 1000 }), scaleDefaults);
    near(many.backlogMs, 3100);
  });

  test('a wake that does not fit into the objective leaves less time to wait', () => {
    const objective = { firstTokenMsMax: 2000, gapMsMax: 100, sequencesMax: 64 };
    assert.equal(computeNeed(needInput({ objective }), scaleDefaults).waitShare, 0.3);
    assert.equal(computeNeed(needInput(), scaleDefaults).waitShare, 0.6);
  });

  test('headroom is for what lands before a wake can', () => {
    const need = computeNeed(needInput({ headroomTokens: 122_000 }), scaleDefaults);
    near(need.headroom, 12_200 / (3000 + 3100));
    near(need.base, 2);
  });

  test('a forecast is a floor', () => near(computeNeed(needInput({ forecastFloor: 7 }), scaleDefaults).base, 7));
});

describe('the order', () => {
  const need = {
    slow: 0,
    fast: 0,
    latest: 0,
    waitShare: 0.6,
    backlogMs: 0,
    backlog: 0,
    headroom: 0,
    keepUp: 0,
    base: 0,
    excess: 0,
  };
  const supply = { ordered: 2, ready: 2, pendingMs: [] };
  const order = (changes: Partial<Parameters<typeof planOrder>[0]>) =>
    planOrder({ need, base: 0, supply, wakeBoundMs: 3000, min: 0, max: 40, isWanted: true, ...changes }, scaleDefaults);

  test('a need within the tolerance orders nothing', () => {
    assert.equal(order({ base: 2.14 }).raised, 2);
    assert.equal(order({ base: 2.16 }).raised, 3);
  });

  test('what climbs in time is not ordered again; what comes late is no help in a burst', () => {
    const burst = { ...need, excess: 6, backlogMs: 60_000, backlog: 20 };
    const coming = (pendingMs: readonly number[]) =>
      order({ need: burst, supply: { ordered: 4, ready: 2, pendingMs } }).raised;
    assert.equal(coming([1000, 1000]), 6);
    assert.equal(coming([100_000, 100_000]), 8);
  });

  test('late climbs do count for what is sustained', () => {
    const figures = order({ base: 4, supply: { ordered: 4, ready: 2, pendingMs: [100_000, 100_000] } });
    assert.deepEqual([figures.raised, figures.steady], [4, 4]);
  });

  test('a wake that would come when what waits is done is not ordered', () => {
    const calm = { ...need, slow: 0.5, excess: 3, backlogMs: 2000, backlog: 2.5 };
    assert.equal(order({ need: calm }).raised, 2);
    assert.equal(order({ need: calm }).isUseless, true);
    // While more comes than is done, it will not be done.
    assert.equal(order({ need: { ...calm, latest: 2.5 } }).raised, 3);
  });

  test('limits hold', () => {
    assert.equal(order({ base: 100, max: 5 }).raised, 5);
    assert.equal(order({ base: 100, max: 5 }).asked, 100);
    assert.equal(order({ supply: { ordered: 0, ready: 0, pendingMs: [] }, min: 3 }).raised, 3);
    assert.equal(order({ supply: { ordered: 0, ready: 0, pendingMs: [] } }).raised, 1);
    assert.equal(order({ supply: { ordered: 0, ready: 0, pendingMs: [] }, isWanted: false }).raised, 0);
  });
});

/** Decides each second, with what it orders there at once, and returns the numbers. */
function follow(scaler: Scaler, seconds: number, change: (second: number) => Partial<ScalerInput>): number[] {
  const numbers: number[] = [];
  let ordered = 0;
  for (let second = 0; second < seconds; second += 1) {
    const nowMs = second * 1000;
    const { desired } = scaler.decide(scalerInput({ nowMs, ordered, ready: ordered, ...change(second) }));
    ordered = desired;
    numbers.push(desired);
  }
  return numbers;
}

describe('over time', () => {
  const busy = { waitingTokens: [], inFlight: 4, idleMs: 0 };

  test('the first request wakes one, and it stays for a while after the last one', () => {
    const scaler = createScaler({ guess: guess70B, sinceMs: -600_000 });
    const numbers = follow(scaler, 120, (second) => {
      if (second < 5) return { idleMs: 1_000_000 };
      return second < 10 ? { waitingTokens: [100], idleMs: 0 } : { idleMs: (second - 10) * 1000 };
    });
    assert.deepEqual([numbers[4], numbers[5], numbers[39]], [0, 1, 1]);
    assert.equal(numbers[119], 0);
    const last = numbers.lastIndexOf(1);
    assert.ok(last >= 10 + 30 && last <= 10 + 30 + 31, `it went at ${last} s`);
  });

  test('a stated time without requests is meant: neither holds nor work of before come on top of it', () => {
    const scaler = createScaler({ guess: guess70B, sinceMs: -600_000 });
    // A minute of work for three, and then nothing at all.
    const numbers = follow(scaler, 200, (second) => {
      if (second >= 60) return { idleMs: (second - 60) * 1000, keepAliveMs: 45_000 };
      scaler.arrived(second * 1000, { requests: 30, promptTokens: 30_000 });
      return { ...busy, keepAliveMs: 45_000 };
    });
    const last = numbers[104] ?? 0;
    assert.ok(last >= 3, `what the work of before holds is still there: ${numbers.slice(50, 110)}`);
    assert.deepEqual(
      numbers.slice(105, 110),
      [1, 2, 3, 4, 5].map((gone) => Math.max(0, last - gone)),
    );
  });

  test('a stated time without requests lets what climbs come up', () => {
    const scaler = createScaler({ guess: guess70B, sinceMs: -600_000 });
    scaler.decide(scalerInput({ nowMs: 0, hasWakeLease: true, keepAliveMs: 5000 }));
    const climbing = { ordered: 1, pending: [{ from: 'Asleep' as const, ageMs: 2000 }], keepAliveMs: 5000 };
    assert.equal(scaler.decide(scalerInput({ nowMs: 2000, ...climbing })).desired, 1);
  });

  test('rises at once, falls late and one by one', () => {
    const scaler = createScaler({ guess: guess70B, sinceMs: -600_000 });
    const numbers = follow(scaler, 200, (second) =>
      second >= 10 && second < 14 ? { ...busy, waitingTokens: new Array<number>(200).fill(2000) } : busy,
    );
    const top = Math.max(...numbers);
    assert.ok(top >= 10, `${top}`);
    assert.equal(numbers[10], top);
    assert.equal(numbers[42], top, 'the down window holds it');
    for (const [second, number] of numbers.entries()) {
      if (second > 0) assert.ok(number >= (numbers[second - 1] ?? 0) - 1, `one at a time, at ${second} s`);
    }
    assert.equal(numbers.at(-1), 1);
  });

  test('silence lowers nothing, and the floor holds after a minute', () => {
    const scaler = createScaler({ guess: guess70B, sinceMs: -600_000 });
    const input = (signalAgeMs: number, nowMs: number) =>
      scalerInput({ nowMs, signalAgeMs, ordered: 3, ready: 3, min: 1, forecastFloor: 4.2 });
    assert.equal(scaler.decide(input(6000, 1_000_000)).hindrance, 'Stale');
    assert.equal(scaler.decide(input(6000, 1_000_000)).desired, 3);
    assert.equal(scaler.decide(input(61_000, 1_100_000)).hindrance, 'Floor');
    assert.equal(scaler.decide(input(61_000, 1_100_000)).desired, 5);
  });

  test('one that has just begun lowers nothing for one slow window', () => {
    const scaler = createScaler({ guess: guess70B, sinceMs: 0 });
    const at = (nowMs: number) => scaler.decide(scalerInput({ nowMs, ordered: 3, ready: 3 }));
    assert.deepEqual([at(1000).desired, at(1000).hindrance], [3, 'New']);
    assert.equal(at(119_000).desired, 3);
    assert.equal(at(121_000).desired, 2);
  });

  test('a stated time of quiet ends that wait: agents know it, whoever began a moment ago', () => {
    const at = (idleMs: number) => {
      const scaler = createScaler({ guess: guess70B, sinceMs: 0 });
      return scaler.decide(scalerInput({ nowMs: 10_000, ordered: 1, ready: 1, keepAliveMs: 5000, idleMs })).desired;
    };
    assert.deepEqual([at(4000), at(6000)], [1, 0]);
  });

  test('a history that routers kept raises at once, and ends no wait: others may have more to tell, and the cost may be a guess', () => {
    const scaler = createScaler({ guess: guess70B, sinceMs: 0 });
    for (let second = -300; second < 0; second += 1)
      scaler.arrived(second * 1000, { requests: 30, promptTokens: 30_000 });
    const decide = (ordered: number) =>
      scaler.decide(scalerInput({ nowMs: 1000, inFlight: 50, idleMs: 0, ordered, ready: ordered }));
    const needed = decide(1).desired;
    assert.ok(needed > 2, `${needed}`);
    assert.deepEqual([decide(9).desired, decide(9).hindrance], [9, 'New']);
  });

  test('starts from nothing are limited by the minute and by the base', () => {
    const scaler = createScaler({ guess: guess70B, sinceMs: -600_000 });
    for (let second = 0; second < 120; second += 1)
      scaler.arrived(second * 1000, { requests: 100, promptTokens: 100_000 });
    const figures = scaler.decide(scalerInput({ nowMs: 119_500, inFlight: 50, waitingTokens: [1000] }));
    assert.ok(figures.desired >= 11, `${figures.desired}`);
    assert.equal(figures.coldMax, Math.floor(figures.order.steady / 2));
  });

  test('the limit of a minute counts what has started, and opens again when the minute is over', () => {
    const scaler = createScaler({ guess: guess70B, sinceMs: -600_000 });
    const startedMs: number[] = [];
    for (let second = 0; second < 300; second += 1) {
      const nowMs = second * 1000;
      scaler.arrived(nowMs, { requests: 60, promptTokens: 60_000 });
      const ready = startedMs.filter((atMs) => atMs <= nowMs - 120_000).length;
      const pending = startedMs.slice(ready).map((atMs) => ({ from: 'Staged' as const, ageMs: nowMs - atMs }));
      const figures = scaler.decide(
        scalerInput({ nowMs, inFlight: 50, idleMs: 0, ordered: startedMs.length, ready, pending }),
      );
      // Nobody sleeps, so every start is one from nothing.
      while (startedMs.length < Math.min(figures.desired, figures.coldMax)) startedMs.push(nowMs);
      const inMinute = startedMs.filter((atMs) => atMs > nowMs - 60_000).length;
      assert.ok(inMinute <= Math.max(2, figures.order.steady / 2), `${inMinute} in the minute before ${second} s`);
    }
    assert.ok(startedMs.length >= 8, `it comes up all the same: ${startedMs.length}`);
  });

  test('wakes are no starts, and neither the first one nor the least waits for the next minute', () => {
    const started = (from: 'Staged' | 'Asleep', changes: Partial<ScalerInput> = {}) => {
      const scaler = createScaler({ guess: guess70B, sinceMs: -600_000 });
      for (let second = 0; second < 120; second += 1)
        scaler.arrived(second * 1000, { requests: 30, promptTokens: 30_000 });
      const pending = [5000, 4000, 3000].map((ageMs) => ({ from, ageMs }));
      return scaler.decide(scalerInput({ nowMs: 119_500, inFlight: 9, idleMs: 0, ordered: 3, pending, ...changes }));
    };
    assert.deepEqual([started('Asleep').coldStarts, started('Staged').coldStarts], [0, 3]);
    assert.equal(started('Asleep').coldMax, 3 + Math.floor(started('Asleep').order.steady / 2));
    assert.equal(started('Staged').coldMax, 3);
    // They were started, and came to nothing.
    assert.equal(started('Staged', { ordered: 0 }).coldMax, 1);
    assert.equal(started('Staged', { ordered: 0, min: 4 }).coldMax, 4);
  });

  test('what takes the place of one that was lost does not wait for the next minute, and one that was put to sleep is no loss', () => {
    const scaler = createScaler({ guess: guess70B, sinceMs: -600_000 });
    const decideAt = (second: number, changes: Partial<ScalerInput>, perSecond = 30) => {
      scaler.arrived(second * 1000, { requests: perSecond, promptTokens: perSecond * 1000 });
      return scaler.decide(scalerInput({ nowMs: second * 1000, inFlight: 9, idleMs: 0, ...changes }));
    };
    for (let second = 0; second < 120; second += 1) decideAt(second, { ordered: 6, ready: 6 });
    const begun = [900, 800, 700].map((ageMs) => ({ from: 'Staged' as const, ageMs }));
    const lost = decideAt(120, { ordered: 3, ready: 0, pending: begun });
    assert.deepEqual([lost.coldStarts, lost.coldMax], [3, 6]);
    for (let second = 121; second < 800; second += 1) decideAt(second, { ordered: 1, ready: 1 }, 0);
    for (let second = 800; second < 860; second += 1) decideAt(second, { ordered: 1, ready: 1 });
    const again = decideAt(860, { ordered: 1, ready: 0, pending: begun });
    assert.ok(again.desired >= 6 && again.coldMax < 6, `${again.coldMax} of ${again.desired}`);
  });

  test('what was learned goes on in the next life', () => {
    const first = createScaler({ guess: guess70B, sinceMs: 0 });
    for (let answer = 0; answer < 500; answer += 1) first.answered(10);
    first.climbed('Asleep', 900);
    const state = JSON.parse(JSON.stringify(first.state()));
    const second = createScaler({ guess: guess70B, sinceMs: 0, state });
    assert.deepEqual(second.state(), first.state());
    assert.ok(Math.abs(second.decide(scalerInput()).outputTokens - 10) < 5);
  });
});

test('limits hold, silence lowers nothing, and the same gives the same', () => {
  const inputs = fc.record({
    gapMs: fc.nat(5000),
    signalAgeMs: fc.oneof(fc.constant(0), fc.nat(100_000)),
    min: fc.nat(3),
    max: fc.integer({ min: 3, max: 12 }),
    waitingTokens: fc.array(fc.nat(50_000), { maxLength: 30 }),
    inFlight: fc.nat(40),
    arrivals: fc.nat(50),
    ordered: fc.nat(14),
    isReady: fc.boolean(),
    hasWakeLease: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(inputs, { maxLength: 40 }), (steps) => {
      const run = () => {
        const scaler = createScaler({ guess: guess70B, sinceMs: 0 });
        let nowMs = 0;
        return steps.map(({ gapMs, isReady, arrivals, ...step }) => {
          nowMs += gapMs;
          scaler.arrived(nowMs, { requests: arrivals, promptTokens: arrivals * 700 });
          const pending = isReady ? [] : [{ from: 'Asleep' as const, ageMs: 500 }];
          return scaler.decide(scalerInput({ ...step, nowMs, ready: isReady ? step.ordered : 0, pending, idleMs: 0 }));
        });
      };
      const figures = run();
      assert.deepEqual(run(), figures);
      for (const [index, one] of figures.entries()) {
        const step = steps[index];
        if (step !== undefined) checkFigures(one, step);
      }
    }),
  );
});

function checkFigures(
  { desired, coldMax, pressing }: ScalerFigures,
  step: { signalAgeMs: number; min: number; max: number; ordered: number; waitingTokens: readonly number[] },
): void {
  assert.ok(Number.isInteger(desired) && desired >= 0 && desired <= step.max);
  assert.ok(coldMax <= Math.max(desired, step.ordered) && pressing <= desired);
  if (step.signalAgeMs > 5000) assert.ok(desired >= Math.min(step.max, step.ordered));
  else {
    if (step.waitingTokens.length > 0) assert.ok(desired >= 1);
    assert.ok(desired >= Math.min(step.min, step.max));
  }
}
