// Slots that stand free: made before they are wanted, made up for when they are taken, told in the status, and gone when nobody
// asks for them any more. On a manual clock, with agents and routers in memory.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { kinds } from '../../src/api/kinds.ts';
import { poolStatusSchema } from '../../src/api/pool.ts';
import { SLOT_UNUSED_MS_MAX } from '../../src/core/plan/slots.ts';
import { createLab, type Lab } from '../support/controller-lab.ts';
import { START_MS } from '../support/lab-agent.ts';

let lab: Lab;
beforeEach(async () => {
  lab = await createLab();
});
afterEach(async () => {
  await lab.stop();
  assert.equal(lab.clock.pendingTimers(), 0, 'no timer is left');
});

const status = () => lab.cluster.must(kinds.Pool, 'default').status ?? {};
const spareMet = () => status().conditions?.find(({ type }) => type === 'SpareMet');
const slotCount = () => lab.cluster.list(kinds.Pod).length;

test('a free slot is there before anybody asks, and is made up for when it is taken', async () => {
  lab.pool('default', { slots: { max: 3 }, spare: {} });
  for (const name of ['a', 'b']) lab.model(name);
  const router = lab.router();
  router.demand([]);
  await lab.pass(1000);
  assert.equal(slotCount(), 1);
  assert.equal(status().spareWanted, 1);
  assert.equal(status().spareDecision, '1 slot has to stand free: a model sleeps that may be needed next.');
  assert.deepEqual([spareMet()?.status, spareMet()?.reason], ['True', 'SpareMet']);
  router.demand([{ model: 'a', queued: 1 }]);
  await lab.pass(START_MS + 500);
  const { slots, awake, spare } = status();
  assert.deepEqual({ slots, awake, spare }, { slots: 2, awake: 1, spare: 1 });
});

test('what may be asked for next sleeps in the free slot before anybody asks, and wakes there', async () => {
  lab.pool('default', { slots: { max: 2 }, spare: {}, sleepersPerSlotMax: 2 });
  for (const name of ['a', 'b', 'c']) lab.model(name);
  const router = lab.router();
  router.demand([]);
  await lab.pass(60_000);
  const { slots, awake, asleep } = status();
  assert.deepEqual({ slots, awake, asleep }, { slots: 1, awake: 0, asleep: 2 });
  const instances = () => [...lab.agents.values()].flatMap((agent) => agent.instances());
  const sleeper = instances()[0]?.model ?? '';
  router.demand([{ model: sleeper, queued: 1 }]);
  await lab.pass(500);
  const answering = instances().filter(({ rung }) => rung === 'Awake');
  assert.deepEqual(
    answering.map(({ model }) => model),
    [sleeper],
    'sooner than a start',
  );
  await lab.pass(60_000);
  assert.equal(status().slots, 2, 'another slot stands free');
  assert.equal(lab.cluster.must(kinds.Model, sleeper).status?.awake, 1, 'a copy is no answer to an order');
});

test('what was learned outlives the controller', async () => {
  lab.pool('default', { slots: { max: 6 }, spare: {} });
  for (const name of ['a', 'b', 'c']) lab.model(name);
  const router = lab.router();
  router.demand([]);
  await lab.pass(5000);
  router.demand(['a', 'b', 'c'].map((model) => ({ model, queued: 1 })));
  await lab.pass(340_000);
  router.demand([]);
  await lab.pass(1000);
  const [today] = status().spareHistory ?? [];
  assert.deepEqual(today?.rises, [0, 1, 1, 1], 'three came at once');
  assert.equal(status().spareWanted, 3);
  await lab.restart();
  await lab.pass(5000);
  assert.equal(status().spareWanted, 3);
  assert.match(status().spareDecision ?? '', /^3 slots have to stand free: 99 % of the wakes/);
  assert.ok((status().spareHistory?.[0]?.watchedSeconds ?? 0) >= 300);
});

test('what a clock that was ahead wrote is read, and does not keep the status from being written', async () => {
  const today = Math.floor(lab.clock.wallMs() / 86_400_000);
  const spareHistory = [{ day: today + 300, watchedSeconds: 99_999, rises: [0, 0, 2] }];
  lab.pool('default', { slots: { max: 6 }, spare: {} });
  lab.cluster.change(kinds.Pool, 'default', { status: { spareHistory } });
  for (const name of ['a', 'b', 'c']) lab.model(name);
  await lab.restart();
  lab.router().demand([]);
  await lab.pass(2000);
  assert.equal(status().spareWanted, 2, 'it goes on from what was counted');
  await lab.pass(700_000);
  assert.deepEqual(poolStatusSchema.safeParse(status()).error?.issues, undefined);
  const { day, watchedSeconds = 0 } = status().spareHistory?.[0] ?? {};
  assert.equal(day, today);
  assert.ok(watchedSeconds >= 290, `${watchedSeconds}`);
});

test('what scaling.minAwake fixes is no demand, whether it is raised or lowered', async () => {
  lab.pool('default', { slots: { max: 20 }, spare: {} });
  lab.model('fixed', { scaling: { minAwake: 5, maxAwake: 8, sleepAfterSeconds: 5 } });
  lab.model('idle');
  lab.router().demand([]);
  const wanted = () => [status().awake, status().spareWanted, slotCount()];
  await lab.pass(400_000);
  assert.deepEqual(wanted(), [5, 1, 6], 'one for the model that sleeps');
  lab.cluster.change(kinds.Model, 'fixed', { spec: { scaling: { minAwake: 8 } } });
  await lab.pass(400_000);
  assert.deepEqual(wanted(), [8, 1, 9]);
  lab.cluster.change(kinds.Model, 'fixed', { spec: { scaling: { minAwake: 0 } } });
  await lab.pass(1000);
  assert.ok((status().awake ?? 0) >= 7, 'they go one after the other');
  assert.equal(status().spareWanted, 1, 'and nobody asked for them');
  await lab.pass(SLOT_UNUSED_MS_MAX + 400_000);
  assert.deepEqual(wanted(), [0, 1, 1]);
  const history = status().spareHistory ?? [];
  assert.ok(history.length > 0 && history.every(({ rises }) => rises.length === 0), 'nothing began to be wanted');
});

test('a Pool that keeps none free makes no copies', async () => {
  lab.pool('default', { slots: { min: 1, max: 2 } });
  lab.model('a');
  lab.router().demand([]);
  await lab.pass(60_000);
  assert.equal(status().asleep, 0);
});

test('what the pool cannot hold is said with the sum', async () => {
  lab.pool('default', { slots: { max: 2 }, spare: { min: 2 } });
  for (const name of ['a', 'b']) lab.model(name);
  const router = lab.router();
  router.demand([{ model: 'a', queued: 1 }]);
  await lab.pass(START_MS + 500);
  assert.equal(slotCount(), 2);
  assert.deepEqual([spareMet()?.status, spareMet()?.reason], ['False', 'SlotsMax']);
  assert.match(spareMet()?.message ?? '', /1 wanted \+ 2 free = 3 slots, and slots\.max is 2\. Raise slots\.max/);
});

test('they go when the Pool asks for none any more, and so does what was said of them', async () => {
  lab.pool('default', { slots: { max: 3 }, spare: { min: 2 } });
  lab.model('a');
  lab.router().demand([]);
  await lab.pass(1000);
  assert.equal(slotCount(), 2);
  await lab.pass(SLOT_UNUSED_MS_MAX + 60_000);
  assert.equal(slotCount(), 2, 'they are kept, however long nothing is awake in them');
  lab.cluster.change(kinds.Pool, 'default', { spec: { spare: null } });
  await lab.pass(90_000);
  assert.equal(slotCount(), 0);
  const { spareWanted, spareDecision } = status();
  assert.deepEqual([spareWanted, spareDecision, spareMet()], [undefined, undefined, undefined]);
});

test('a Pool without the wish makes a slot when it is lacking, as before', async () => {
  lab.pool('default', { slots: { max: 3 } });
  lab.model('a');
  lab.router().demand([]);
  await lab.pass(5000);
  assert.equal(slotCount(), 0);
  assert.equal(spareMet(), undefined);
});

test('an objective that a climb cannot keep is called impossible, with the measured time', async () => {
  lab.pool('default', { slots: { min: 1, max: 1 } });
  lab.model('a', { scaling: { firstTokenMillis: 500 }, serving: { sleep: 'Never' } });
  const judged = () =>
    lab.cluster.must(kinds.Model, 'a').status?.conditions?.find(({ type }) => type === 'ObjectivePossible');
  const router = lab.router();
  router.demand([]);
  await lab.pass(1000);
  assert.deepEqual([judged()?.status, judged()?.reason], ['Unknown', 'Unmeasured']);
  router.demand([{ model: 'a', queued: 1 }]);
  await lab.pass(START_MS + 1000);
  assert.deepEqual([judged()?.status, judged()?.reason], ['False', 'Impossible'], judged()?.message);
  assert.match(judged()?.message ?? '', /a start takes 1 s by what was measured.*the objective is 0\.5 s\. Keep one/);
  lab.cluster.change(kinds.Model, 'a', { spec: { scaling: { minAwake: 1 } } });
  await lab.pass(1000);
  assert.equal(judged()?.reason, 'Possible');
  lab.cluster.change(kinds.Model, 'a', { spec: { scaling: { firstTokenMillis: null } } });
  await lab.pass(1000);
  assert.equal(judged()?.reason, 'Possible', 'the 5 s that scaling goes by without one are judged, too');
});

test('on a cluster, a slot asks to be left on its node while something is awake in it, or sleeps nowhere else', async () => {
  await lab.stop();
  lab = await createLab({ slotPods: { image: 'stoker:1', pullPolicy: 'Never', pullSecrets: [] } });
  lab.pool('default', { slots: { min: 2, max: 2 } });
  lab.model('a', { scaling: { minAwake: 1, maxAwake: 2 } });
  lab.router().demand([]);
  const annotations = () =>
    lab.cluster
      .list(kinds.Pod)
      .map(({ metadata }) => metadata.annotations ?? {})
      .map((all) => [all['karpenter.sh/do-not-disrupt'], all['cluster-autoscaler.kubernetes.io/safe-to-evict']].join())
      .sort();
  await lab.pass(20_000);
  assert.deepEqual(annotations(), [',', 'true,false'], 'the slot that holds nothing may go');
  lab.cluster.change(kinds.Model, 'a', { spec: { scaling: { minAwake: 2 } } });
  await lab.pass(20_000);
  assert.deepEqual(annotations(), ['true,false', 'true,false'], 'both are awake');
  lab.cluster.change(kinds.Model, 'a', { spec: { scaling: { minAwake: 0, sleepAfterSeconds: 5 } } });
  await lab.pass(200_000);
  assert.equal(lab.cluster.must(kinds.Model, 'a').status?.asleep, 2);
  assert.deepEqual(annotations(), [',', ','], 'either of two sleepers may go');
});
