// The policies of others, as their documents say: one reading at a time, worked out by hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hpaPolicy, kedaPolicy } from '../../../src/sim/policy/hpa.ts';
import { kpaPolicy } from '../../../src/sim/policy/kpa.ts';
import { lruSleepersPolicy } from '../../../src/sim/policy/lru-sleepers.ts';
import type { ModelReading, PolicyFactory } from '../../../src/sim/policy/policy.ts';
import { createRecent } from '../../../src/sim/policy/recent.ts';
import { dynamoPolicy, wvaPolicy } from '../../../src/sim/policy/stepwise.ts';
import { createSimRequest } from '../../../src/sim/request.ts';
import { createScenario } from '../../../src/sim/setup.ts';
import { simSetup, simTrace } from '../../support/simulation.ts';

const [model] = createScenario(simTrace([[0, 1, 1]]), simSetup({ slots: 40 })).models;
assert.ok(model !== undefined);

const replica = { promptLeft: 0, promptBehind: 0, kvShare: 0, inFlight: 0, idleMs: 0 };

function reading(changes: Partial<ModelReading>): ModelReading {
  const ready = changes.ready ?? 0;
  const base: ModelReading = {
    model: model as ModelReading['model'],
    waiting: [],
    queued: 0,
    inFlight: 0,
    ready,
    pending: [],
    asleep: 40,
    makeRoomMs: 0,
    ordered: ready,
    replicas: Array.from({ length: ready }, () => replica),
    idleMs: 0,
  };
  return { ...base, ...changes };
}

/** Calls the policy once a second with what the last order came to, and returns the orders. */
function drive(
  factory: PolicyFactory,
  seconds: number,
  demand: (second: number, ordered: number) => Partial<ModelReading>,
) {
  assert.ok(model !== undefined);
  const policy = factory([model]);
  const orders: number[] = [];
  let ordered = 1;
  for (let second = 0; second < seconds; second += 1) {
    const one = reading({ ready: ordered, ...demand(second, ordered) });
    ordered =
      policy.decide({ nowMs: second * 1000, signalAgeMs: 0, models: [one], slots: 40 }).get('model')?.desired ?? -1;
    orders.push(ordered);
  }
  return orders;
}

test('HPA follows a metric that is 15 s late, in steps of at most double or four more', () => {
  const orders = drive(hpaPolicy(5), 90, (second) => ({ inFlight: second < 10 ? 5 : 100 }));
  assert.equal(orders[15], 1, 'the metric is from second 0');
  assert.deepEqual([orders[30], orders[45], orders[60]], [5, 10, 20]);
});

test('HPA shrinks to the most of the last 300 s only', () => {
  const orders = drive(hpaPolicy(5), 500, (second) => ({ inFlight: second < 60 ? 50 : 5 }));
  assert.equal(Math.max(...orders), 10);
  assert.equal(orders[300], 10);
  assert.equal(orders.at(-1), 1);
});

test('KEDA looks every 30 s, and goes to zero after 300 quiet seconds', () => {
  const orders = drive(kedaPolicy(5), 500, (second) => ({ queued: second < 40 ? 25 : 0 }));
  assert.ok(orders.slice(60, 300).every((count) => count >= 1));
  assert.equal(orders.at(-1), 0);
});

test('Knative panics when the short window asks for twice as many, and shrinks to no less meanwhile', () => {
  const orders = drive(kpaPolicy(10), 120, (second) => ({ inFlight: second >= 60 && second < 70 ? 100 : 10 }));
  assert.equal(orders[58], 1);
  assert.ok((orders[66] ?? 0) >= 8, `in the burst ${orders[66]}`);
  assert.ok((orders[90] ?? 0) >= 8, 'the panic is not over');
});

test('Knative wakes from zero for the first waiting request', () => {
  assert.ok(model !== undefined);
  const decide = (queued: number) =>
    kpaPolicy(10)([model])
      .decide({ nowMs: 0, signalAgeMs: 0, models: [reading({ queued })], slots: 1 })
      .get('model');
  assert.deepEqual(decide(0), { desired: 0 });
  assert.deepEqual(decide(1), { desired: 1 });
});

test('WVA moves by one and holds while something is on its way', () => {
  const short = drive(wvaPolicy(), 61, () => ({ queued: 30 }));
  assert.deepEqual([short[0], short[30], short[60]], [2, 3, 4]);
  const pending = drive(wvaPolicy(), 61, () => ({ queued: 30, pending: [{ from: 'Asleep', ageMs: 0 }] }));
  assert.ok(pending.every((count) => count === 1));
});

test('Dynamo adds one when all engines are above the objective and none is pending', () => {
  const waiting = [createSimRequest({ atMs: 0, model: 'model', promptTokens: 100_000, outputTokens: 1 })];
  const orders = drive(dynamoPolicy(), 11, () => ({ waiting, queued: 1 }));
  assert.deepEqual(
    [orders[0], orders[5], orders[10]],
    [2, 2, 2],
    '9.1 s alone is above 5 s; 4.6 s with two is above 0.8 of it',
  );
});

test('LRU sleepers: one for each full batch, asleep after the time without any', () => {
  assert.ok(model !== undefined);
  const policy = lruSleepersPolicy(60_000)([model]);
  const decide = (changes: Partial<ModelReading>) =>
    policy.decide({ nowMs: 100_000, signalAgeMs: 0, models: [reading(changes)], slots: 1 }).get('model')?.desired;
  const { sequencesMax } = model.profile.engine;
  assert.deepEqual([decide({ queued: sequencesMax }), decide({ queued: 2 * sequencesMax + 1 })], [1, 3]);
  assert.equal(decide({ ready: 1, replicas: [{ ...replica, idleMs: 59_000 }] }), 1);
  assert.equal(decide({ ready: 1, replicas: [{ ...replica, idleMs: 61_000 }] }), 0);
});

test('a while of samples', () => {
  const recent = createRecent(1000);
  for (const [atMs, value] of [
    [0, 10],
    [500, 2],
    [1200, 4],
  ] as const)
    recent.add(atMs, value);
  assert.equal(recent.max(), 4);
  assert.equal(recent.mean(), 3);
  assert.equal(recent.before(1000), 2);
  assert.equal(recent.before(0), 2);
});
