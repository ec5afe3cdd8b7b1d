// The forecast has a say only where the hour of the week tells more than the hour before: after a week and most of another one,
// never for steady, wandering or random work, never above what that hour has seen, and again in the next life.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseLearned, renderLearned, WORK_HOUR_MAX, WORK_HOURS } from '../../../../../src/api/learned-state.ts';
import { createFleetPlanner, type FleetPlanner } from '../../../../../src/core/plan/pool/fleet-planner.ts';
import {
  createForecast,
  emptyWeeks,
  type Forecast,
  hasEarnedSay,
  noteWork,
  pinballLoss,
} from '../../../../../src/core/plan/scale/forecast.ts';
import { createRng } from '../../../../../src/lib/rng.ts';
import { guess70B, scalerInput } from '../../../../support/scaler.ts';

const HOUR_MS = 3_600_000;
const FIRST_HOUR = 480_000;

type Work = (hour: number) => number;

/** Hours are watched in quarters. */
function watch(hours: number, work: Work, forecast: Forecast = createForecast()): Forecast {
  for (let hour = 0; hour < hours; hour += 1) {
    for (let quarter = 0; quarter < 4; quarter += 1) {
      const wallMs = (FIRST_HOUR + hour + quarter / 4) * HOUR_MS;
      forecast.note({ wallMs, spanMs: HOUR_MS / 4, replicas: work(hour) });
    }
  }
  return forecast;
}

const expectAt = (forecast: Forecast, hour: number, aheadMs = 0) =>
  forecast.expect((FIRST_HOUR + hour + 0.01) * HOUR_MS, aheadMs);

/** Nine to five on five days, and more at noon. */
const office: Work = (hour) => {
  const [day, time] = [Math.floor(hour / 24) % 7, hour % 24];
  return day < 5 && time >= 9 && time < 17 ? (time === 12 ? 8 : 5) : 0.2;
};

describe('the hours of a week', () => {
  test('are expected again once the last week was guessed well, and not before', () => {
    const nine = 9;
    for (const weeks of [0, 1]) {
      for (let hour = 0; hour < 168; hour += 1)
        assert.equal(expectAt(watch(168 * weeks, office), 168 * weeks + hour), 0);
    }
    const forecast = watch(2 * 168, office);
    assert.equal(expectAt(forecast, 2 * 168), 0.2);
    const later = watch(2 * 168 + nine, office);
    assert.deepEqual([expectAt(later, 2 * 168 + nine - 1), expectAt(later, 2 * 168 + nine)], [0.2, 5]);
    assert.equal(expectAt(watch(2 * 168 + 12, office), 2 * 168 + 12), 8);
  });

  test('count early enough for a start to be there in time', () => {
    const forecast = watch(2 * 168 + 9, office);
    const wallMs = (FIRST_HOUR + 2 * 168 + 9) * HOUR_MS - 100_000;
    assert.deepEqual([forecast.expect(wallMs, 60_000), forecast.expect(wallMs, 120_000)], [0.2, 5]);
  });

  const rng = createRng(7);
  let wandering = 5;
  const rows: readonly [string, Work][] = [
    ['work that is always the same', () => 3],
    ['no work at all', () => 0],
    ['work that goes where it likes', () => (wandering = Math.max(0, wandering + rng.next() - 0.5))],
  ];
  for (const [name, work] of rows) {
    test(`say nothing about ${name}`, () => {
      const forecast = watch(3 * 168, work);
      for (let hour = 0; hour < 168; hour += 1) assert.equal(expectAt(forecast, 3 * 168, hour), 0);
    });
  }

  test('say nothing any more after a week that was another one', () => {
    const forecast = watch(3 * 168, office);
    assert.ok(expectAt(forecast, 3 * 168) > 0);
    // Holidays.
    watchFrom(forecast, 3 * 168, 168, () => 0.2);
    assert.equal(expectAt(forecast, 4 * 168), 0);
  });

  test('say nothing after a gap, nor long after they were known', () => {
    const forecast = watch(2 * 168, office);
    assert.equal(expectAt(forecast, 2 * 168 + 5), 0, 'nobody watched the hours since');
    watchFrom(forecast, 2 * 168 + 100, 1, () => 1);
    assert.equal(expectAt(forecast, 2 * 168 + 100), 0, 'too little of the last week was watched');
  });
});

function watchFrom(forecast: Forecast, from: number, hours: number, work: Work): void {
  for (let hour = from; hour < from + hours; hour += 1)
    forecast.note({ wallMs: (FIRST_HOUR + hour) * HOUR_MS, spanMs: HOUR_MS, replicas: work(hour) });
}

test('random work seldom earns a say', () => {
  let earned = 0;
  for (let seed = 1; seed <= 100; seed += 1) {
    const rng = createRng(seed);
    if (hasEarnedSay(watch(3 * 168, () => rng.next() * 5).state())) earned += 1;
  }
  assert.ok(earned <= 2, `${earned} of 100`);
});

test('a weekly rhythm under noise earns one', () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const rng = createRng(seed);
    assert.ok(hasEarnedSay(watch(3 * 168, (hour) => office(hour) * (0.7 + 0.6 * rng.next())).state()), `seed ${seed}`);
  }
});

test('whatever is seen, the floor is 0 or what the same hour has seen, and the state is small and comes back', () => {
  const seen = fc.record({
    hours: fc.oneof(fc.nat(3), fc.nat(600), fc.integer({ min: -40, max: 3 })),
    spanMs: fc.integer({ min: 1, max: 2 * HOUR_MS }),
    replicas: fc.double({ min: 0, max: 1e6, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(seen, { maxLength: 60 }), fc.nat(900), (all, seed) => {
      const forecast = createForecast(randomWeeks(seed));
      let wallMs = (FIRST_HOUR + 504) * HOUR_MS;
      for (const { hours, ...one } of all) {
        wallMs += hours * HOUR_MS;
        forecast.note({ wallMs, ...one });
        const state = forecast.state();
        const floor = forecast.expect(wallMs, 0);
        const behind = state.hour - Math.floor(wallMs / HOUR_MS);
        const same = [168, 336, 504].map((ago) => state.past.at(-ago - behind) ?? -1);
        assert.ok(floor === 0 || (floor <= Math.max(...same) / 100 && floor >= 0), `${floor} of ${same}`);
        assert.ok(
          state.past.length <= WORK_HOURS && state.past.every((value) => value >= -1 && value <= WORK_HOUR_MAX),
        );
      }
      const text = JSON.stringify(forecast.state());
      assert.ok(text.length <= 4096, `${text.length}`);
      const again = createForecast(JSON.parse(text));
      assert.deepEqual(
        [again.expect(wallMs, 60_000), again.state()],
        [forecast.expect(wallMs, 60_000), forecast.state()],
      );
    }),
  );
});

/** Three weeks of the largest figures, one of them like the others. */
function randomWeeks(seed: number) {
  const rng = createRng(seed);
  const week = Array.from({ length: 168 }, () => Math.floor(WORK_HOUR_MAX * (1 - 0.1 * rng.next())));
  return { ...emptyWeeks(), hour: FIRST_HOUR + 504, past: [...week, ...week, ...week] };
}

test('too low costs nine times what too high does', () => {
  assert.ok(Math.abs(pinballLoss(10, 8) - 1.8) < 1e-9);
  assert.ok(Math.abs(pinballLoss(8, 10) - 0.2) < 1e-9);
});

test('an hour that was hardly watched is not known', () => {
  let weeks = noteWork(emptyWeeks(), { wallMs: FIRST_HOUR * HOUR_MS, spanMs: HOUR_MS / 3, replicas: 7 });
  weeks = noteWork(weeks, { wallMs: (FIRST_HOUR + 1) * HOUR_MS, spanMs: HOUR_MS, replicas: 3 });
  weeks = noteWork(weeks, { wallMs: (FIRST_HOUR + 2) * HOUR_MS, spanMs: 1, replicas: 3 });
  assert.deepEqual(weeks.past, [-1, 300]);
});

describe('in the planner', () => {
  const wallOf = (hour: number) => (FIRST_HOUR + hour) * HOUR_MS;
  /** One decision a minute. `fromHour` continues what was before. */
  function run(planner: FleetPlanner, [from, to]: readonly [number, number], work: Work, signalAgeMs = 0) {
    for (let minute = from * 60; minute < to * 60; minute += 1) {
      const nowMs = minute * 60_000;
      const requests = Math.round(work(Math.floor(minute / 60)) * 600);
      planner.tell('m', { type: 'Arrived', atMs: nowMs, requests, promptTokens: requests * 1000 });
      const one = scalerInput({ nowMs, signalAgeMs, ordered: 1, ready: 1, idleMs: 0, inFlight: 1 });
      planner.decide({ models: new Map([['m', one]]), slots: 4, wallMs: wallOf(minute / 60) });
    }
  }
  const begin = () => {
    const planner = createFleetPlanner();
    planner.add('m', { guess: { ...guess70B, sleepMs: 1000, drainMs: 1000 }, sinceMs: 0 });
    return planner;
  };

  test('it learns from decisions, keeps it over a restart, and raises what sleeps before the hour', () => {
    const planner = begin();
    run(planner, [0, 2 * 168 + 8], office);
    const wallMs = wallOf(2 * 168 + 9) - 60_000;
    const floor = planner.forecastOf('m', wallMs);
    assert.ok(floor > 2, `${floor}`);
    const memory = planner.memoryOf('m');
    assert.ok(memory !== undefined);
    const kept = parseLearned(renderLearned(memory));
    assert.ok(kept.ok);
    const next = begin();
    assert.equal(next.forecastOf('m', wallMs), 0);
    next.remember('m', kept.value);
    assert.equal(next.forecastOf('m', wallMs), floor);
    const asleep = (forecastFloor: number) => {
      const one = scalerInput({ nowMs: (2 * 168 + 9) * HOUR_MS, keepAliveMs: 300_000, forecastFloor });
      return next.decide({ models: new Map([['m', one]]), slots: 4 }).get('m')?.figures.desired;
    };
    assert.deepEqual([asleep(0), asleep(floor)], [0, Math.ceil(floor - 0.15)]);
  });

  test('it learns nothing while routers are silent', () => {
    const planner = begin();
    run(planner, [0, 3], office, 10_000);
    assert.deepEqual(planner.memoryOf('m')?.weeks, emptyWeeks());
  });
});
