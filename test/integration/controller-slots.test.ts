// Several slots, several models: pools grow and shrink, models share a slot fairly, slots that vanish are made up for, and the
// API may fail for a while. On a manual clock, with agents and routers in memory.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { KindRef } from '../../src/api/group.ts';
import { kinds } from '../../src/api/kinds.ts';
import { residentRungs } from '../../src/api/link.ts';
import { AGENT_LOST_MS_MAX } from '../../src/controller/bounds.ts';
import { fail } from '../../src/lib/result.ts';
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

const pool = () => lab.cluster.must(kinds.Pool, 'default');
const revisionOf = (model: string) => lab.cluster.must(kinds.Model, model).status?.stableRevision ?? '';
const awakeModels = () =>
  [...lab.agents.values()]
    .flatMap((agent) =>
      agent
        .instances()
        .filter(({ rung }) => rung === 'Awake')
        .map(({ model }) => model),
    )
    .sort();

const refusedAtTheDoor = { phase: 'Failed', reason: 'UnexpectedAdmissionError', message: 'no device' } as const;

function assertWithin(figure: number, [min, max]: readonly [number, number], what: string): void {
  assert.ok(figure >= min && figure <= max, `${figure} ${what}`);
}

describe('slots', () => {
  test('are made for what is wanted, counted in the status, and never more than the most', async () => {
    lab.pool('default', { slots: { min: 0, max: 2 } });
    for (const name of ['a', 'b', 'c']) lab.model(name);
    const router = lab.router();
    router.demand([]);
    await lab.pass(100);
    assert.equal(lab.agents.size, 0, 'nobody asks, so there is none');
    assert.equal(pool().status?.conditions?.find(({ type }) => type === 'Ready')?.reason, 'Empty');
    router.demand([
      { model: 'a', queued: 1 },
      { model: 'b', queued: 1 },
      { model: 'c', queued: 1 },
    ]);
    await lab.pass(START_MS + 500);
    assert.equal(lab.agents.size, 2);
    assert.equal(awakeModels().length, 2);
    const { slots, ready, awake, spare, nextSerial } = pool().status ?? {};
    assert.deepEqual(
      { slots, ready, awake, spare, nextSerial },
      { slots: 2, ready: 2, awake: 2, spare: 0, nextSerial: 2 },
    );
    assert.equal(new Set(lab.cluster.writes.filter((write) => write.startsWith('create Pod'))).size, 2);
  });

  test('are made one by one: a request that needs one makes no second, however many there may be', async () => {
    lab.pool('default', { slots: { min: 0, max: 5 } });
    lab.model('a');
    const router = lab.router();
    router.demand([]);
    await lab.pass(100);
    router.demand([{ model: 'a', queued: 1 }]);
    await lab.pass(START_MS + 500);
    assert.equal(lab.agents.size, 1);
  });

  test('above the least go when they were unused for long, the least stays', async () => {
    lab.pool('default', { slots: { min: 1, max: 2 } });
    for (const name of ['a', 'b']) lab.model(name, { scaling: { sleepAfterSeconds: 10 } });
    const router = lab.router();
    router.demand([
      { model: 'a', queued: 1 },
      { model: 'b', queued: 1 },
    ]);
    await lab.pass(START_MS + 500);
    assert.equal(pool().status?.slots, 2);
    router.demand([]);
    await lab.pass(30_000);
    assert.equal(pool().status?.slots, 2);
    lab.clock.advance(580_000);
    await lab.pass(65_000);
    assert.equal(pool().status?.slots, 1);
  });

  test('that never came up go, too, when nobody needs them any more', async () => {
    await lab.stop();
    lab = await createLab({ startsPods: false });
    lab.pool('default', { slots: { min: 0, max: 1 } });
    lab.model('a');
    const router = lab.router();
    router.demand([{ model: 'a', queued: 1 }]);
    await lab.pass(1000);
    const isGoing = () => lab.cluster.list(kinds.Pod).map(({ metadata }) => metadata.deletionTimestamp !== undefined);
    assert.deepEqual(isGoing(), [false]);
    router.demand([]);
    await lab.pass(660_000, 1000);
    assert.deepEqual(isGoing(), [true]);
  });

  test('whose Pod is deleted are made up for, and what was awake comes up elsewhere', async () => {
    lab.pool('default', { slots: { min: 1, max: 1 } });
    lab.model('a', { scaling: { minAwake: 1 } });
    const router = lab.router();
    router.demand([]);
    await lab.pass(START_MS + 500);
    const [first] = lab.agents.keys();
    assert.deepEqual(awakeModels(), ['a']);
    lab.cluster.drop(kinds.Pod, first ?? '');
    await lab.pass(START_MS + 1500);
    assert.equal(lab.agents.size, 2);
    assert.equal(lab.cluster.get(kinds.Pod, first ?? ''), undefined);
    assert.equal(router.table().endpoints.length, 1);
    assert.notEqual(router.table().endpoints[0]?.podUid, lab.agents.get(first ?? '')?.podUid);
  });

  test('that vanish before anybody looked are made up for, too', async () => {
    const { create } = lab.cluster;
    let vanished = 0;
    const createAndLose: typeof create = async (kind, object, signal) => {
      const made = await create(kind, object, signal);
      if (kind.kind === 'Pod' && vanished++ === 0) lab.cluster.endPod(object.metadata.name);
      return made;
    };
    Object.assign(lab.cluster, { create: createAndLose });
    lab.pool('default', { slots: { min: 1, max: 1 } });
    await lab.pass(5000);
    assert.equal(vanished, 1, 'it may only not have shown yet');
    await lab.pass(90_000);
    assert.equal(vanished, 2);
    assert.equal(pool().status?.ready, 1);
  });

  test('that the watch does not show are no more than the most, however long it is silent', async () => {
    const { list, get, read } = lab.cluster;
    Object.assign(lab.cluster, {
      list: (kind: KindRef) => (kind.kind === 'Pod' ? [] : list(kind)),
      get: (kind: KindRef, name: string) => (kind.kind === 'Pod' ? undefined : get(kind, name)),
    });
    lab.pool('default', { slots: { min: 2, max: 2 } });
    await lab.pass(200_000, 1000);
    assert.equal(list(kinds.Pod).length, 2);
    Object.assign(lab.cluster, { read: async () => fail({ reason: 'Timeout', message: 'late' }) });
    await lab.pass(100_000, 1000);
    assert.equal(list(kinds.Pod).length, 2, 'no answer says nothing');
    Object.assign(lab.cluster, { list, get, read });
    await lab.pass(1000);
    assert.equal(pool().status?.ready, 2);
  });

  test('whose agent is away for long no longer hold a model back', async () => {
    lab.pool('default', { slots: { min: 2, max: 2 } });
    lab.model('a', { scaling: { minAwake: 1 } });
    const router = lab.router();
    router.demand([]);
    await lab.pass(START_MS + 500);
    const holder = [...lab.agents.values()].find((agent) => agent.instances().length > 0);
    holder?.disconnect();
    await lab.pass(10_000);
    assert.deepEqual(
      router.table().endpoints.map(({ podUid }) => podUid),
      [holder?.podUid],
      'it may still serve',
    );
    await lab.pass(8000);
    assert.ok(router.table().endpoints.every(({ podUid }) => podUid !== holder?.podUid));
    assert.equal(router.table().endpoints.length, 1);
    holder?.connect();
    await lab.pass(2000);
    assert.deepEqual(awakeModels(), ['a'], 'one of the two goes');
  });

  test('that a node refuses at its door are made anew more and more slowly, and said to be in trouble once', async () => {
    await lab.stop();
    lab = await createLab({ startsPods: false });
    lab.pool('default', { slots: { min: 1, max: 1 } });
    for (let second = 0; second < 600; second += 1) {
      for (const { metadata, status } of lab.cluster.list(kinds.Pod)) {
        if (metadata.deletionTimestamp !== undefined) lab.cluster.endPod(metadata.name);
        else if (status?.phase !== 'Failed') lab.cluster.setPodStatus(metadata.name, refusedAtTheDoor);
      }
      await lab.pass(1000);
    }
    const made = lab.cluster.writes.filter((write) => write.startsWith('create Pod ')).length;
    assertWithin(made, [5, 10], 'Pods in ten minutes');
    assert.ok(lab.cluster.writes.length < 200, `${lab.cluster.writes.length} writes in ten minutes`);
    const events = lab.cluster.events.filter(({ reason }) => reason === 'Refused');
    assertWithin(events.length, [1, made], 'events');
    assert.match(events[0]?.message ?? '', /UnexpectedAdmissionError: no device.*device plugin/);
  });

  /** As the node lifecycle controller leaves the Pods of a node whose kubelet is silent. */
  const lost = {
    phase: 'Running',
    conditions: [
      { type: 'ContainersReady', status: 'True' },
      { type: 'Ready', status: 'False' },
    ],
    containerStatuses: [{ name: 'agent', ready: true, restartCount: 0, state: { running: {} } }],
  } as const;
  const at = (wallMs: number) => new Date(wallMs).toISOString();
  const troubleOf = () => pool().status?.conditions?.find(({ type }) => type === 'SlotTrouble');

  test('on a node that is lost are said to be, and count, until it is back', async () => {
    lab.pool('default', { slots: { min: 1, max: 1 } });
    lab.model('a', { scaling: { minAwake: 1 } });
    lab.router().demand([]);
    await lab.pass(START_MS + 500);
    const [agent] = [...lab.agents.values()];
    assert.ok(agent);
    lab.cluster.setPodStatus(agent.name, lost);
    await lab.pass(1000);
    assert.equal(troubleOf()?.reason, 'NoTrouble', 'its agent is heard');
    agent.disconnect();
    await lab.pass(60_000, 100);
    assert.equal(troubleOf()?.reason, 'NodeLost');
    assert.match(troubleOf()?.message ?? '', /may still be in use, and the Pool has as many as it may\.$/);
    assert.equal(lab.agents.size, 1, 'the accelerators may still be in use');
    agent.connect();
    lab.cluster.setPodStatus(agent.name, { ...lost, conditions: [{ type: 'Ready', status: 'True' }] });
    await lab.pass(2000);
    assert.equal(troubleOf()?.reason, 'NoTrouble');
  });

  for (const [who, isNew] of [
    ['', false],
    [', also by a controller that never heard of them', true],
  ] as const) {
    test(`of a lost node are made up for at once where the pool may have more${who}`, async () => {
      lab.pool('default', { slots: { min: 0, max: 6 } });
      const names = ['a', 'b', 'c'];
      for (const name of names) lab.model(name, { scaling: { minAwake: 1 } });
      lab.router().demand(names.map((model) => ({ model, inFlight: 1 })));
      await lab.pass(START_MS + 500);
      assert.equal(lab.agents.size, 3);
      for (const agent of lab.agents.values()) {
        lab.cluster.setPodStatus(agent.name, lost);
        agent.disconnect();
      }
      if (isNew) await lab.restart();
      await lab.pass(AGENT_LOST_MS_MAX + 5000);
      assert.equal(lab.agents.size, 6);
      assert.match(troubleOf()?.message ?? '', /1 more|2 more/);
    });
  }

  test('that the server does not take are said to be, tried more and more slowly, and made once they are taken', async () => {
    const sentence =
      'pods is forbidden: User "system:serviceaccount:llm:c" cannot create resource "pods" in API group ""';
    lab.cluster.refused = { kind: 'Pod', error: { reason: 'Forbidden', message: sentence } };
    lab.pool('default', { slots: { min: 1, max: 1 } });
    await lab.pass(120_000);
    const tries = lab.cluster.writes.filter((write) => write.startsWith('create Pod ')).length;
    assertWithin(tries, [3, 6], 'tries in two minutes');
    assert.ok(lab.cluster.writes.length < 30, `${lab.cluster.writes.length} writes in two minutes`);
    const conditions = () => new Map(pool().status?.conditions?.map((condition) => [condition.type, condition]));
    assert.deepEqual(
      ['SlotTrouble', 'Ready'].map((type) => conditions().get(type)?.reason),
      ['MissingRight', 'MissingRight'],
    );
    assert.match(conditions().get('SlotTrouble')?.message ?? '', /cannot create resource "pods".*rbac\.create=true/);
    const told = lab.cluster.events.filter(({ reason }) => reason === 'MissingRight');
    assertWithin(told.length, [1, tries + 1], 'events');
    lab.cluster.change(kinds.Pool, 'default', { spec: { slots: { min: 0, max: 1 } } });
    await lab.pass(500);
    assert.equal(conditions().get('SlotTrouble')?.reason, 'NoTrouble', 'nobody wants a slot any more');
    lab.cluster.change(kinds.Pool, 'default', { spec: { slots: { min: 1, max: 1 } } });
    await lab.pass(500);
    assert.equal(conditions().get('SlotTrouble')?.reason, 'MissingRight');
    lab.cluster.refused = undefined;
    await lab.pass(180_000);
    assert.equal(lab.agents.size, 1);
    assert.deepEqual(
      ['SlotTrouble', 'Ready'].map((type) => conditions().get(type)?.reason),
      ['NoTrouble', 'SlotsConnected'],
    );
  });

  test('that were evicted stay a trouble until one works', async () => {
    await lab.stop();
    lab = await createLab({ startsPods: false });
    lab.pool('default', { slots: { min: 1, max: 1 } });
    // Until the picture of the slots counts as complete, none is deleted.
    await lab.pass(11_000);
    const [pod] = lab.cluster.list(kinds.Pod);
    const message = 'The node was low on resource: ephemeral-storage.';
    lab.cluster.setPodStatus(pod?.metadata.name ?? '', { phase: 'Failed', reason: 'Evicted', message });
    await lab.pass(500);
    lab.cluster.endPod(pod?.metadata.name ?? '');
    await lab.pass(500);
    const trouble = () => pool().status?.conditions?.find(({ type }) => type === 'SlotTrouble');
    assert.equal(lab.cluster.list(kinds.Pod).length, 1, 'the first one is replaced at once');
    assert.notEqual(lab.cluster.list(kinds.Pod)[0]?.metadata.name, pod?.metadata.name);
    assert.deepEqual([trouble()?.status, trouble()?.reason], ['True', 'DiskFull']);
    assert.equal(lab.cluster.events.filter(({ reason }) => reason === 'DiskFull').length, 1);
  });

  test('that do not begin on their node are said to after five minutes, and are left to it', async () => {
    await lab.stop();
    lab = await createLab({ startsPods: false });
    lab.pool('default', { slots: { min: 1, max: 1 } });
    await lab.pass(500);
    const { name = '', uid } = lab.cluster.list(kinds.Pod)[0]?.metadata ?? {};
    const scheduled = { type: 'PodScheduled', status: 'True', lastTransitionTime: at(lab.clock.wallMs()) };
    const state = { waiting: { reason: 'ContainerCreating' } };
    const containerStatuses = [{ name: 'agent', ready: false, restartCount: 0, state }];
    lab.cluster.setPodStatus(name, { phase: 'Pending', conditions: [scheduled], containerStatuses });
    await lab.pass(290_000, 1000);
    assert.equal(troubleOf()?.reason, 'NoTrouble');
    await lab.pass(45_000, 1000);
    assert.equal(troubleOf()?.reason, 'NotStarted');
    const written = lab.cluster.writes.length;
    await lab.pass(600_000, 1000);
    assert.equal(lab.cluster.writes.length, written, 'it is said once');
    assert.equal(lab.cluster.events.filter(({ reason }) => reason === 'NotStarted').length, 1);
    assert.equal(lab.cluster.list(kinds.Pod)[0]?.metadata.uid, uid, 'a slow pull would begin anew');
    const conditions = [{ type: 'Ready', status: 'True' }];
    lab.cluster.setPodStatus(name, { phase: 'Running', conditions });
    await lab.pass(500);
    assert.equal(troubleOf()?.reason, 'NoTrouble');
  });

  test('that cannot start are said to be, and make nobody wait for ever', async () => {
    await lab.stop();
    lab = await createLab({ startsPods: false });
    lab.pool('default', { slots: { min: 1, max: 1 } });
    lab.model('a');
    const router = lab.router();
    router.demand([{ model: 'a', queued: 1 }]);
    await lab.pass(500);
    const [pod] = lab.cluster.list(kinds.Pod);
    lab.cluster.setPodStatus(pod?.metadata.name ?? '', { phase: 'Pending', message: 'The Pod does not fit.' });
    await lab.pass(100);
    const ready = pool().status?.conditions?.find(({ type }) => type === 'Ready');
    const sentence = `Slot ${pod?.metadata.name}: The Pod does not fit.`;
    assert.deepEqual([ready?.status, ready?.message], ['False', sentence]);
    const told = lab.cluster.must(kinds.Model, 'a').status?.conditions?.find(({ type }) => type === 'Ready');
    assert.deepEqual([told?.reason, told?.message], ['NoSlot', `No slot is ready: ${sentence}`]);
    assert.ok((router.table().warmth.get('a')?.etaMs ?? 0) < 10_000);
    await lab.pass(12_000);
    assert.ok((router.table().warmth.get('a')?.etaMs ?? 0) >= 60_000, 'a caller is not told that it comes soon');
    assert.equal(lab.cluster.list(kinds.Pod).length, 1);
  });

  describe('that take minutes to come', () => {
    const pods = () => lab.cluster.list(kinds.Pod);
    const ofPool = (name: string) => pods().filter(({ metadata }) => metadata.labels?.['stoker.dev/pool'] === name);
    const say = (status: object) => {
      for (const { metadata } of pods()) lab.cluster.setPodStatus(metadata.name, status);
    };
    const crashing = {
      phase: 'Running',
      containerStatuses: [{ name: 'agent', state: { waiting: { reason: 'CrashLoopBackOff' } } }],
    };
    const wait = async (seconds: number, status: object) => {
      for (let second = 0; second < seconds; second += 1) {
        say(status);
        await lab.pass(1000);
      }
    };
    beforeEach(async () => {
      await lab.stop();
      lab = await createLab({ startsPods: false });
      lab.pool('default', { slots: { min: 0, max: 8 } });
    });

    test('are made once for who waits, and more only for more', async () => {
      lab.model('a', { scaling: { maxAwake: 1 } });
      const router = lab.router();
      router.demand([{ model: 'a', queued: 1 }]);
      await wait(120, { phase: 'Pending' });
      assert.equal(pods().length, 1);
      assert.ok((router.table().warmth.get('a')?.etaMs ?? 0) >= 60_000, 'a caller is not told that it comes soon');
      lab.model('b', { scaling: { maxAwake: 1 } });
      await lab.pass(200);
      router.demand([
        { model: 'a', queued: 1 },
        { model: 'b', queued: 1 },
      ]);
      await wait(60, { phase: 'Pending' });
      assert.equal(pods().length, 2);
    });

    test('send who waits to another pool, once', async () => {
      lab.pool('other', { slots: { min: 0, max: 8 } });
      lab.model('a', { pools: ['default', 'other'], scaling: { maxAwake: 1 } });
      lab.router().demand([{ model: 'a', queued: 1 }]);
      await wait(9, { phase: 'Pending' });
      assert.deepEqual([ofPool('default').length, ofPool('other').length], [1, 0]);
      await wait(120, { phase: 'Pending' });
      assert.deepEqual([ofPool('default').length, ofPool('other').length], [1, 1]);
    });

    test('are made again elsewhere when one crashes, and slower with each that does', async () => {
      lab.model('a', { scaling: { maxAwake: 1 } });
      lab.router().demand([{ model: 'a', queued: 1 }]);
      await wait(5, crashing);
      assert.equal(pods().length, 2, 'the first may have had bad luck');
      await wait(295, crashing);
      assertWithin(pods().length, [5, 6], 'in five minutes, after 10, 20, 40, 80 and 160 s');
    });
  });

  test('with an address of an earlier controller are replaced', async () => {
    lab.pool('default', { slots: { min: 1, max: 1 } });
    lab.router().demand([]);
    await lab.pass(200);
    const [agent] = lab.agents.values();
    const [pod] = lab.cluster.list(kinds.Pod);
    agent?.disconnect();
    const [container] = pod?.spec.containers ?? [];
    const env = [{ name: 'STOKER_LINK_URL', value: 'ws://127.0.0.1:1' }];
    lab.cluster.change(kinds.Pod, agent?.name ?? '', { spec: { containers: [{ ...container, env }] } });
    lab.cluster.setPodStatus(agent?.name ?? '', { phase: 'Running', conditions: [{ type: 'Ready', status: 'False' }] });
    await lab.pass(500);
    assert.equal(lab.agents.size, 2);
    assert.equal(lab.cluster.list(kinds.Pod).length, 1);
  });
});

describe('two models on one slot', () => {
  test('both make progress while both have work, with no slot ever holding two', async () => {
    lab.pool('default', { slots: { min: 1, max: 1 } });
    lab.model('a', { serving: { drainSeconds: 1 } });
    lab.model('b', { serving: { drainSeconds: 1 } });
    const router = lab.router();
    const served = { a: 0, b: 0 };
    router.demand([
      { model: 'a', queued: 1 },
      { model: 'b', queued: 1 },
    ]);
    for (let second = 0; second < 90; second += 1) {
      await lab.pass(1000);
      for (const agent of lab.agents.values()) {
        const residents = agent.instances().filter(({ rung }) => residentRungs.has(rung));
        assert.ok(residents.length <= 1);
        for (const target of agent.targets.slice(-1))
          assert.ok(target.instances.filter(({ rung }) => rung === 'Awake').length <= 1);
      }
      for (const model of awakeModels()) served[model as 'a' | 'b'] += 1;
    }
    assert.ok(served.a >= 30 && served.b >= 30, JSON.stringify(served));
  });

  test('one without work gives its slot to the other, keeps its copy asleep, and comes back fast', async () => {
    lab.pool('default', { slots: { min: 1, max: 1 } });
    lab.model('a');
    lab.model('b');
    const router = lab.router();
    router.demand([{ model: 'a', queued: 1 }]);
    await lab.pass(START_MS + 200);
    router.demand([]);
    await lab.pass(2000);
    router.demand([{ model: 'b', queued: 1 }]);
    await lab.pass(START_MS + 300);
    assert.deepEqual(awakeModels(), ['b']);
    const [agent] = lab.agents.values();
    assert.equal(agent?.instance(revisionOf('a'))?.rung, 'Asleep');
    router.demand([]);
    await lab.pass(2000);
    router.demand([{ model: 'a', queued: 1 }]);
    await lab.pass(400);
    assert.deepEqual(awakeModels(), ['a']);
  });
});

describe('the API', () => {
  test('may be away for a while: what runs goes on, and writes are made up for', async () => {
    lab.pool('default', { slots: { min: 1, max: 1 } });
    lab.model('a', { scaling: { sleepAfterSeconds: 5 } });
    const router = lab.router();
    router.demand([]);
    await lab.pass(200);
    lab.cluster.fault = { reason: 'Unavailable', message: 'away' };
    router.demand([{ model: 'a', queued: 1 }]);
    await lab.pass(START_MS + 300);
    assert.equal(router.table().endpoints.length, 1, 'a wake needs no write');
    assert.equal(lab.cluster.must(kinds.Model, 'a').status?.rung, 'Staged');
    lab.cluster.fault = undefined;
    await lab.pass(5000);
    assert.equal(lab.cluster.must(kinds.Model, 'a').status?.rung, 'Awake');
  });
});

describe('a probe', () => {
  test('of the first verified start is kept in the revision and expected of later ones', async () => {
    lab.pool('default', { slots: { min: 1, max: 1 } });
    lab.model('a', { scaling: { minAwake: 1 } });
    lab.router().demand([]);
    await lab.pass(START_MS + 500);
    const revision = lab.cluster.must(kinds.ModelRevision, revisionOf('a'));
    const sample = { tokenIds: [1, 2], logprobs: ['-0.1', '-0.2'] };
    assert.deepEqual(revision.status?.probes, [{ key: 'cpu@builtin:0123456789ab', sample }]);
    assert.equal(revision.status?.conditions?.[0]?.reason, 'Verified');
    const [agent] = lab.agents.values();
    assert.deepEqual(agent?.targets.at(-1)?.instances[0]?.launch.probeExpected, sample);
  });

  test('by another engine build than the pinned one says so, and makes no revision', async () => {
    lab.pool('default', { slots: { min: 1, max: 1 } });
    lab.model('a', { scaling: { minAwake: 1 } });
    lab.router().demand([]);
    await lab.pass(200);
    for (const agent of lab.agents.values()) agent.setEngineBuild('builtin:ffffffffffff');
    await lab.pass(START_MS + 500);
    const [verified] = lab.cluster.must(kinds.ModelRevision, revisionOf('a')).status?.conditions ?? [];
    assert.deepEqual([verified?.type, verified?.status, verified?.reason], ['PinVerified', 'False', 'EngineChanged']);
    assert.match(verified?.message ?? '', /builtin:0123456789ab and runs on builtin:ffffffffffff/);
    assert.equal(lab.cluster.list(kinds.ModelRevision).length, 1);
    assert.ok(lab.cluster.events.some(({ reason }) => reason === 'EngineChanged'));
  });
});
