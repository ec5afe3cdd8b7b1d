// The scaler inside the whole controller, on a manual clock: what routers say goes up and down, and instances follow.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { kinds } from '../../src/api/kinds.ts';
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

  test('that nobody tells a history lowers nothing for one slow window', async () => {
    const router = await threeAwake();
    // It was started anew, too: its counters begin at nothing.
    router.demand([]);
    await lab.restart();
    await lab.pass(110_000);
    assert.equal(awake(), 3);
    assert.match(status()?.scaleDecision ?? '', /too little is known yet/);
    await lab.pass(15_000);
    assert.equal(awake(), 1);
  });

  test('fills its meter from the histories that routers keep', async () => {
    const router = await threeAwake();
    const countsPer10s = new Array<number>(60).fill(0);
    router.demand([{ arrivals, arrivedTokens: arrivals * 1000 }]);
    router.setHistory([{ model: 'demo', countsPer10s, tokensPer10s: countsPer10s }]);
    await lab.restart();
    await lab.pass(START_MS + 2000);
    assert.equal(awake(), 1, 'it is known that nothing came, so two go at once');
  });

  test('keeps what the history says is needed', async () => {
    const router = await threeAwake();
    const counts = new Array<number>(60).fill(1200);
    router.demand([{ arrivals, arrivedTokens: arrivals * 1000 }]);
    router.setHistory([{ model: 'demo', countsPer10s: counts, tokensPer10s: counts.map((count) => count * 1000) }]);
    await lab.restart();
    await lab.pass(20_000);
    assert.equal(awake(), 3);
  });
});
