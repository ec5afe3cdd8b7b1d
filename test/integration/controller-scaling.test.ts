// The scaler inside the whole controller, on a manual clock: what routers say goes up and down, and instances follow.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { kinds } from '../../src/api/kinds.ts';
import { ROUTER_SERVICE_ACCOUNT } from '../../src/api/link.ts';
import { createLivePlanner } from '../../src/controller/live-scaling.ts';
import type { ModelOrder } from '../../src/core/plan/pool/fleet-planner.ts';
import { createLab, type Lab, type LabRouter } from '../support/controller-lab.ts';
import { START_MS } from '../support/lab-agent.ts';

let lab: Lab;
beforeEach(async () => {
  lab = await createLab();
});
afterEach(async () => {
  await lab.stop();
  assert.equal(lab.clock.pendingTimers(), 0, 'no timer is left');
});

const status = (name = 'demo') => lab.cluster.must(kinds.Model, name).status;
const awake = (name = 'demo') =>
  [...lab.agents.values()]
    .flatMap((agent) => agent.instances())
    .filter((one) => one.model === name && one.rung === 'Awake').length;

/** A router that gets so many requests of 1,000 prompt tokens each second; what it says is a counter, as of a real one. */
async function load(
  router: LabRouter,
  { seconds, perSecond }: { seconds: number; perSecond: number },
): Promise<number[]> {
  const counts: number[] = [];
  for (let second = 0; second < seconds; second += 1) {
    arrivals += perSecond;
    router.demand([{ arrivals, arrivedTokens: arrivals * 1000, inFlight: perSecond > 0 ? 8 : 0 }]);
    serve(perSecond > 0 ? 4 : 0);
    await lab.pass(1000);
    counts.push(awake());
  }
  return counts;
}
let arrivals = 0;

/** Every instance that is awake has so many requests. */
function serve(inFlight: number): void {
  for (const agent of lab.agents.values()) {
    const up = agent.instances().filter((one) => one.rung === 'Awake' && one.inFlight !== inFlight);
    for (const { revision } of up) agent.setInFlight(revision, inFlight);
  }
}

function endDrains(): void {
  for (const agent of lab.agents.values()) {
    const draining = agent.instances().filter(({ rung }) => rung === 'Draining');
    for (const { revision } of draining) agent.setInFlight(revision, 0);
  }
}

async function start(scaling: object): Promise<LabRouter> {
  arrivals = 0;
  lab.pool('default', { slots: { min: 5, max: 5 } });
  lab.model('demo', { scaling });
  const router = lab.router();
  router.demand([]);
  await lab.pass(200);
  return router;
}

describe('work', () => {
  test('of two models that is too much for one slot gets a second one, and no third', async () => {
    lab.pool('default', { slots: { min: 1, max: 1 } });
    const names = ['demo', 'other'];
    for (const name of names) lab.model(name, { scaling: { maxAwake: 1 } });
    const router = lab.router();
    for (const model of names) {
      router.demand([{ model, queued: 1 }]);
      await lab.pass(START_MS + 15_000);
    }
    router.demand([]);
    const rungs = [...lab.agents.values()].flatMap((agent) => agent.instances().map(({ rung }) => rung));
    assert.deepEqual(rungs.sort(), ['Asleep', 'Awake'], 'both are warm in one slot');
    lab.cluster.change(kinds.Pool, 'default', { spec: { slots: { max: 3 } } });
    const waitsSince = new Map<string, number>();
    for (let second = 0; second < 400; second += 1) {
      const rows = names.map((model) => {
        const isUp = awake(model) > 0;
        if (isUp) waitsSince.delete(model);
        else if (!waitsSince.has(model)) waitsSince.set(model, second);
        const oldestQueuedMs = 1000 * (second - (waitsSince.get(model) ?? second));
        const work = isUp ? { inFlight: 4 } : { queued: 4, oldestQueuedMs };
        return { model, ...work, arrivals: 18 * second, arrivedTokens: 18_000 * second };
      });
      router.demand(rows);
      serve(4);
      endDrains();
      await lab.pass(1000, 50);
    }
    assert.deepEqual(names.map(awake), [1, 1]);
    assert.equal(lab.cluster.list(kinds.Pod).length, 2);
  });

  test('that grows wakes more up to the most, and when it is gone they sleep one at a time', async () => {
    const router = await start({ maxAwake: 3, sleepAfterSeconds: 60 });
    const up = await load(router, { seconds: 100, perSecond: 120 });
    assert.deepEqual([up.at(-1), Math.max(...up)], [3, 3], `never beyond the most: ${up}`);
    // There is work for four from the first second. Only what is sustained may be started from nothing, and nobody sleeps.
    assert.equal(up[10], 2, `${up}`);
    assert.match(
      status()?.scaleDecision ?? '',
      /3 instances should be awake: there is work for more, but maxAwake is 3/,
    );
    const down = await load(router, { seconds: 80, perSecond: 0 });
    assert.equal(down.at(-1), 0);
    assert.equal(down[55], 3, `what was needed lately stays: ${down}`);
    for (const [at, count] of down.entries()) if (at > 0) assert.ok(count >= (down[at - 1] ?? 0) - 1, `${down}`);
  });

  test('that goes on when every slot with an instance is lost has as many again at once', async () => {
    const router = await start({ maxAwake: 3, sleepAfterSeconds: 60 });
    await load(router, { seconds: 100, perSecond: 120 });
    const held = [...lab.agents.values()].filter((agent) => agent.instances().some(({ rung }) => rung === 'Awake'));
    assert.equal(held.length, 3);
    for (const { name } of held) lab.lose(name);
    assert.equal(awake(), 0);
    const counts = await load(router, { seconds: 20, perSecond: 120 });
    assert.equal(counts.at(-1), 3, `no minute passes before the third: ${counts}`);
  });

  test('that came before its model was pinned is not forgotten', async () => {
    const router = await start({ maxAwake: 3, sleepAfterSeconds: 60 });
    lab.model('late', { version: { weights: { file: { path: 'late.gguf' } } } });
    await lab.pass(1000);
    const unpinned = lab.cluster.must(kinds.Model, 'late').status?.conditions;
    assert.match(JSON.stringify(unpinned), /WeightsMissing/);
    router.demand([{ model: 'late', arrivals: 0, arrivedTokens: 0 }]);
    router.demand([{ model: 'late', arrivals: 40, arrivedTokens: 40_000 }]);
    await lab.pass(1000);
    lab.weights.set('late.gguf', { sha256: 'b'.repeat(64), sizeBytes: 1_000_000, trainedContextLength: 2048 });
    await lab.pass(60_000);
    const terms = (await explain('late')).terms;
    const work = terms.find(({ name }) => name === 'slowWork')?.value;
    assert.ok(Number(work) > 0, JSON.stringify(terms));
  });

  test('that one can do leaves the others asleep', async () => {
    const router = await start({ maxAwake: 3 });
    const counts = await load(router, { seconds: 60, perSecond: 5 });
    assert.equal(counts.at(-1), 1);
    assert.equal(Math.max(...counts), 1);
  });
});

describe('a new controller', () => {
  const threeAwake = async () => {
    const router = await start({ maxAwake: 3, sleepAfterSeconds: 1000 });
    await load(router, { seconds: 100, perSecond: 120 });
    assert.equal(awake(), 3);
    serve(0);
    return router;
  };

  for (const history of ['no history', 'one in which nothing came']) {
    test(`that is told ${history} lowers nothing for one slow window`, async () => {
      const router = await threeAwake();
      const countsPer10s = new Array<number>(60).fill(0);
      if (history !== 'no history') router.setHistory([{ model: 'demo', countsPer10s, tokensPer10s: countsPer10s }]);
      // It was started anew, too: its counters begin at nothing.
      router.demand([]);
      await lab.restart();
      await lab.pass(110_000);
      assert.equal(awake(), 3);
      assert.match(status()?.scaleDecision ?? '', /too little is known yet/);
      await lab.pass(15_000);
      assert.equal(awake(), 1);
    });
  }

  test('raises at once to what the histories of routers say is needed', async () => {
    const router = await start({ maxAwake: 3, sleepAfterSeconds: 1000 });
    await load(router, { seconds: 10, perSecond: 1 });
    assert.equal(awake(), 1);
    const counts = new Array<number>(60).fill(1200);
    router.setHistory([{ model: 'demo', countsPer10s: counts, tokensPer10s: counts.map((count) => count * 1000) }]);
    await lab.restart();
    await lab.pass(START_MS + 2000);
    assert.equal(awake(), 3);
  });

  const readyRouter = (name: string) => {
    const { metadata } = lab.cluster.put(kinds.Pod, name, {
      serviceAccountName: ROUTER_SERVICE_ACCOUNT,
      containers: [],
    });
    lab.cluster.setPodStatus(name, { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] });
    return lab.router(name, metadata.uid);
  };

  for (const comes of [true, false]) {
    test(`waits for a router Pod that is Ready ${comes ? 'until it has said hello' : 'for no more than 10 s'}`, async () => {
      await start({ maxAwake: 3 });
      const [first, second] = [readyRouter('router-a'), readyRouter('router-b')];
      for (const router of [first, second]) router.demand([]);
      second.disconnect();
      await lab.restart();
      lab.cluster.drop(kinds.Model, 'demo');
      await lab.pass(comes ? 5000 : 9000);
      assert.notEqual(lab.cluster.get(kinds.Model, 'demo'), undefined, 'of the other router nothing is known');
      if (comes) second.connect();
      await lab.pass(2000);
      assert.equal(lab.cluster.get(kinds.Model, 'demo'), undefined);
    });
  }
});

/** What `stoker explain scale` is told. */
function explain(model: string): Promise<{ terms: { name: string; value: unknown }[] }> {
  return new Promise((resolve) => {
    const request = { method: 'GET', url: `/explain/scale/${model}`, headers: { authorization: 'Bearer secret' } };
    const response = { writeHead() {}, end: (body: Buffer) => resolve(JSON.parse(body.toString('utf8'))) };
    // Of a request and its answer nothing else is looked at.
    lab.controller().handleAdmin(request as never, response as never);
  });
}

describe('what was learned', () => {
  const configMap = () => lab.cluster.get(kinds.ConfigMap, 'demo-learned');
  const text = () => configMap()?.data?.['learned.json'] ?? '';
  const tokensKnown = async () => {
    const terms: { name: string; value: unknown }[] = (await explain('demo')).terms;
    return terms.find(({ name }) => name === 'outputTokens')?.value;
  };
  const begin = async () => {
    const router = await start({ maxAwake: 2, sleepAfterSeconds: 600 });
    router.demand([{ queued: 1 }]);
    await lab.pass(START_MS + 500);
    // Forty answers of 900 tokens: the guess was 200.
    for (let message = 0; message < 2; message += 1)
      router.demand([{ answeredTokens: new Array<number>(20).fill(900) }]);
    router.demand([{}]);
    await lab.pass(1000);
    return router;
  };
  const learnedTokens = () => JSON.parse(text()).memory.scaler.output.meanTokens;

  test('is written to a ConfigMap that its Model owns, every five minutes at most', async () => {
    await begin();
    assert.equal(configMap(), undefined, 'nothing is written at once');
    await lab.pass(301_000);
    assert.deepEqual(
      configMap()?.metadata.ownerReferences?.map(({ kind, name }) => [kind, name]),
      [['Model', 'demo']],
    );
    assert.ok(learnedTokens() > 600, `${learnedTokens()}`);
    const writes = () => lab.cluster.writes.filter((write) => write.includes('ConfigMap')).length;
    const before = writes();
    await lab.pass(290_000);
    assert.equal(writes(), before);
  });

  test('is known to the next controller', async () => {
    await begin();
    await lab.pass(301_000);
    const before = await tokensKnown();
    await lab.restart();
    await lab.pass(500);
    assert.equal(await tokensKnown(), before);
    assert.ok(Number(before) > 600, `${before}`);
  });

  test('that is lost costs no more than one slow window in which nothing sleeps', async () => {
    const router = await begin();
    await load(router, { seconds: 100, perSecond: 120 });
    await lab.pass(301_000 - 100_000);
    const before = awake();
    assert.equal(before, 2);
    lab.cluster.drop(kinds.ConfigMap, 'demo-learned');
    serve(0);
    router.demand([]);
    await lab.restart();
    await lab.pass(118_000);
    assert.equal(awake(), before);
    assert.equal(await tokensKnown(), 200, 'it begins with the guess');
    await lab.pass(5000);
    assert.equal(awake(), 1);
  });

  test('that is damaged is said to be, and written over', async () => {
    await begin();
    await lab.pass(301_000);
    lab.cluster.change(kinds.ConfigMap, 'demo-learned', { data: { 'learned.json': '{"version":99}' } });
    await lab.restart();
    await lab.pass(500);
    const event = lab.cluster.events.find(({ reason }) => reason === 'LearnedStateUnusable');
    assert.match(event?.message ?? '', /ConfigMap demo-learned, cannot be used: its version is not 2/);
    assert.equal(await tokensKnown(), 200);
    await lab.pass(301_000);
    assert.equal(JSON.parse(text()).version, 2);
  });

  test('of the hours of a week wakes what they need, although nobody asks yet', async () => {
    const router = await start({ maxAwake: 3, sleepAfterSeconds: 60 });
    await lab.pass(301_000);
    assert.equal(awake(), 0);
    // Every second hour keeps two and a half busy, such as this one.
    const hour = Math.floor(lab.clock.wallMs() / 3_600_000);
    const past = Array.from({ length: 504 }, (_, index) => (index % 2 === 0 ? 250 : 0));
    const state = JSON.parse(text());
    const data = (weeks: object) => ({ data: { 'learned.json': JSON.stringify({ ...state, memory: weeks }) } });
    lab.cluster.change(
      kinds.ConfigMap,
      'demo-learned',
      data({ ...state.memory, weeks: { hour, watchedMs: 0, workMs: 0, past } }),
    );
    await lab.restart();
    router.demand([]);
    await lab.pass(130_000);
    assert.equal(awake(), 3);
    assert.match(status()?.scaleDecision ?? '', /3 instances should be awake: the forecast asks for it/);
    assert.equal((await explain('demo')).terms.find(({ name }) => name === 'forecast')?.value, 3.05);
  });

  test('is left alone in a ConfigMap of somebody else', async () => {
    lab.cluster.put(kinds.ConfigMap, 'demo-learned', {});
    await begin();
    await lab.pass(302_000);
    assert.equal(text(), '');
  });
});

describe('an order that breaks a rule', () => {
  test('is not carried out, is counted, and what is awake stays', async () => {
    await lab.stop();
    let wish: number | undefined;
    lab = await createLab({
      createPlanner() {
        const planner = createLivePlanner();
        const bend = (order: ModelOrder) => (wish === undefined ? order : { ...order, desired: wish });
        return { ...planner, decide: (input) => new Map([...planner.decide(input)].map(([m, one]) => [m, bend(one)])) };
      },
    });
    const router = await start({ maxAwake: 2, sleepAfterSeconds: 600 });
    router.demand([{ queued: 1 }]);
    await lab.pass(START_MS + 500);
    assert.equal(awake(), 1);
    wish = 5;
    await lab.pass(2000);
    assert.equal(awake(), 1);
    assert.match(await lab.metrics.render(), /stoker_plan_findings_total\{rule="BeyondMax"\} [1-9]/);
    wish = undefined;
    router.silence();
    await lab.pass(6000);
    wish = 0;
    await lab.pass(20_000);
    assert.equal(awake(), 1, 'old news put nothing to sleep');
    assert.match(await lab.metrics.render(), /stoker_plan_findings_total\{rule="LoweredOnOldNews"\} [1-9]/);
  });

  test('of flapping wakes nothing more ahead of need, and a request all the same', async () => {
    await lab.stop();
    let wish = 0;
    lab = await createLab({
      createPlanner() {
        const planner = createLivePlanner();
        const bend = (order: ModelOrder) => ({ ...order, desired: Math.max(wish, order.pressing), coldMax: 1 });
        return { ...planner, decide: (input) => new Map([...planner.decide(input)].map(([m, one]) => [m, bend(one)])) };
      },
    });
    lab.pool('default', { slots: { min: 1, max: 1 }, changesPerSlotHourMax: 4 });
    lab.model('demo', { scaling: { maxAwake: 1, sleepAfterSeconds: 5 } });
    const router = lab.router();
    router.demand([]);
    await lab.pass(130_000);
    const flap = async () => {
      wish = 1;
      await lab.pass(START_MS + 5000);
      const count = awake();
      wish = 0;
      await lab.pass(10_000);
      assert.equal(awake(), 0, 'it may always sleep');
      return count;
    };
    assert.deepEqual([await flap(), await flap(), await flap()], [1, 1, 0]);
    assert.match(await lab.metrics.render(), /stoker_wakes_held_back_total\{pool="default"\} [1-9]/);
    router.demand([{ queued: 1 }]);
    await lab.pass(START_MS + 5000);
    assert.equal(awake(), 1, 'who waits is served');
    router.demand([]);
    await lab.pass(3_600_000, 1000);
    assert.equal(await flap(), 1, 'another hour');
  });
});
