// Limits of several objects that cannot be kept together, and objectives that nothing can keep: told in conditions with the
// arithmetic, once, and taken back when they are mended. On a manual clock, with agents and routers in memory.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { kinds } from '../../src/api/kinds.ts';
import { LEARNED_EVERY_MS, RESYNC_MS } from '../../src/controller/bounds.ts';
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

const ofModel = (name: string, type: string) =>
  lab.cluster.must(kinds.Model, name).status?.conditions?.find((one) => one.type === type);
const ofPool = (name: string, type: string) =>
  lab.cluster.must(kinds.Pool, name).status?.conditions?.find((one) => one.type === type);
const told = (reason: string) => lab.cluster.events.filter((event) => event.reason === reason);

describe('instances that never sleep', () => {
  test('are more than the pool may have: Model and Pool say so with the sum, in one Event each', async () => {
    lab.pool('default', { slots: { max: 2 } });
    lab.model('a', { scaling: { minAwake: 5, maxAwake: 5 } });
    lab.router().demand([]);
    await lab.pass(START_MS * 3);
    assert.equal(lab.cluster.must(kinds.Model, 'a').status?.awake, 2);
    await lab.pass(RESYNC_MS);
    const { status, reason, message } = ofModel('a', 'MinAwakePossible') ?? {};
    assert.deepEqual([status, reason], ['False', 'TooFewSlots']);
    assert.equal(
      message,
      '5 instances never sleep (spec.scaling.minAwake), and its pools may have 2 slots: raise spec.slots.max of Pool default or lower minAwake.',
    );
    assert.equal(ofPool('default', 'MinAwakePossible')?.status, 'False');
    assert.match(ofPool('default', 'MinAwakePossible')?.message ?? '', /^5 instances of the Model a never sleep/);
    assert.deepEqual(
      told('TooFewSlots')
        .map(({ type, regarding }) => [type, regarding.kind])
        .sort(),
      [
        ['Warning', 'Model'],
        ['Warning', 'Pool'],
      ],
    );
    const before = lab.cluster.writes.length;
    await lab.pass(4 * RESYNC_MS);
    assert.equal(lab.cluster.writes.length, before, `nothing is written while nothing changes`);
    assert.equal(told('TooFewSlots').length, 2);
    lab.cluster.change(kinds.Pool, 'default', { spec: { slots: { max: 5 } } });
    await lab.pass(START_MS * 5);
    assert.equal(ofModel('a', 'MinAwakePossible')?.status, 'True');
    assert.equal(ofPool('default', 'MinAwakePossible')?.status, 'True');
    lab.cluster.change(kinds.Model, 'a', { spec: { scaling: { minAwake: 0 } } });
    await lab.pass(RESYNC_MS + 100);
    assert.deepEqual([ofModel('a', 'MinAwakePossible'), ofPool('default', 'MinAwakePossible')], [undefined, undefined]);
  });

  test('of three models fit alone and not together: all three say so, and one that shares nothing does not', async () => {
    lab.pool('default', { slots: { max: 2 } });
    lab.pool('other');
    for (const name of ['a', 'b', 'c']) lab.model(name, { scaling: { minAwake: 1 } });
    lab.model('d', { scaling: { minAwake: 1 }, pools: ['other'] });
    lab.router().demand([]);
    await lab.pass(RESYNC_MS + START_MS);
    for (const name of ['a', 'b', 'c'])
      assert.match(
        ofModel(name, 'MinAwakePossible')?.message ?? '',
        /^3 instances of the Models a, b and c never sleep .* may have 2 slots together: raise .* of Pool default or/,
      );
    assert.equal(ofModel('d', 'MinAwakePossible')?.status, 'True');
    lab.cluster.change(kinds.Model, 'b', { spec: { scaling: { minAwake: 0 } } });
    await lab.pass(RESYNC_MS + 100);
    assert.equal(ofModel('a', 'MinAwakePossible')?.status, 'True');
    assert.equal(ofPool('default', 'MinAwakePossible')?.status, 'True');
  });

  test('of a model without a pool are told by NoPool alone', async () => {
    lab.model('a', { scaling: { minAwake: 2, maxAwake: 2 } });
    lab.router().demand([]);
    await lab.pass(1000);
    assert.equal(ofModel('a', 'Ready')?.reason, 'NoPool');
    assert.equal(ofModel('a', 'MinAwakePossible'), undefined);
  });
});

describe('an objective for the first token', () => {
  const judged = (name = 'a') => ofModel(name, 'ObjectivePossible');

  /** Requests with prompts of so many tokens, each of which takes 4 ms to read. */
  const learn = async (router: LabRouter, promptTokens: number) => {
    const steps = Array.from({ length: 4 }, (_, index) => ({
      sequences: index,
      promptTokens: 500 * index,
      stepMs: 10 + index + 4 * 500 * index,
    }));
    for (let request = 0; request < 40; request += 1) {
      arrivals += 1;
      arrivedTokens += promptTokens;
      router.demand([{ model: 'a', arrivals, arrivedTokens, steps }]);
    }
    router.demand([{ model: 'a', arrivals, arrivedTokens }]);
    await lab.pass(RESYNC_MS + 100);
  };
  let arrivals = 0;
  let arrivedTokens = 0;
  beforeEach(() => {
    [arrivals, arrivedTokens] = [0, 0];
  });

  test('below the time to read a usual prompt is impossible, however many stay awake', async () => {
    lab.pool('default', { slots: { min: 1, max: 1 } });
    lab.model('a', { scaling: { minAwake: 1, firstTokenMillis: 5000 } });
    const router = lab.router();
    await lab.pass(1000);
    await learn(router, 500);
    assert.equal(judged()?.reason, 'Possible', '2 s');
    await learn(router, 2000);
    assert.deepEqual([judged()?.status, judged()?.reason], ['False', 'PromptsTooLong'], judged()?.message);
    assert.match(judged()?.message ?? '', /5 of 100 take [78](\.\d)? s or more to read .*; the objective is 5 s/);
    assert.equal(told('PromptsTooLong').length, 1);
    // By then what was learned lies in a ConfigMap. The next controller reads it after it has looked at the Model.
    await lab.pass(LEARNED_EVERY_MS);
    await lab.restart();
    await lab.pass(RESYNC_MS);
    assert.equal(judged()?.reason, 'PromptsTooLong');
    assert.equal(told('PromptsTooLong').length, 1);
  });

  test('that nobody stated is judged by what scaling goes by, without an Event', async () => {
    lab.pool('default', { slots: { min: 1, max: 1 } });
    lab.model('a', { scaling: { minAwake: 1 } });
    const router = lab.router();
    await lab.pass(1000);
    await learn(router, 2000);
    assert.deepEqual([judged()?.status, judged()?.reason], ['False', 'PromptsTooLong']);
    assert.match(
      judged()?.message ?? '',
      /^Nothing has to be changed: no objective is stated, and scaling goes by 5 s/,
    );
    assert.equal(told('PromptsTooLong').length, 0);
  });

  test('is in the way of a model that has to sleep first, unless slots stand free', async () => {
    lab.pool('default', { slots: { min: 1, max: 1 } });
    lab.pool('other', { slots: { min: 1, max: 1 } });
    lab.weights.set('large.gguf', { sha256: 'b'.repeat(64), sizeBytes: 20_000_000_000, trainedContextLength: 2048 });
    // A start takes 1 s in the lab, and a sleep of 20 GB is taken to take 3.2 s.
    lab.model('a', { scaling: { firstTokenMillis: 4000 }, serving: { sleep: 'Never' } });
    lab.model('large', { version: { weights: { file: { path: 'large.gguf' } } }, pools: ['default', 'other'] });
    const router = lab.router();
    router.demand([{ model: 'a', queued: 1 }]);
    await lab.pass(START_MS + 1000);
    assert.deepEqual([judged()?.status, judged()?.reason], ['False', 'SlotsTaken'], judged()?.message);
    assert.match(
      judged()?.message ?? '',
      /another model has to sleep first, which takes 3\.2 s by its size, a start takes 1 s by what was measured/,
    );
    assert.equal(told('SlotsTaken').length, 1);
    lab.cluster.change(kinds.Pool, 'default', { spec: { slots: { max: 2 }, spare: { min: 1 } } });
    await lab.pass(1000);
    assert.equal(judged()?.reason, 'Possible', judged()?.message);
    lab.cluster.change(kinds.Pool, 'default', { spec: { spare: null } });
    await lab.pass(1000);
    assert.equal(judged()?.reason, 'SlotsTaken');
    lab.cluster.change(kinds.Pool, 'default', { spec: { slots: { min: 2 } } });
    await lab.pass(1000);
    assert.equal(judged()?.reason, 'Possible', 'as many slots as may be awake in them');
  });

  test('that a climb cannot keep is still called so by a controller that has measured nothing', async () => {
    lab.pool('default', { slots: { min: 1, max: 1 } });
    lab.model('a', { scaling: { firstTokenMillis: 500, sleepAfterSeconds: 1 }, serving: { sleep: 'Never' } });
    const router = lab.router();
    router.demand([{ model: 'a', queued: 1 }]);
    await lab.pass(START_MS + 1000);
    assert.equal(judged()?.reason, 'Impossible');
    router.demand([]);
    await lab.pass(10_000);
    await lab.restart();
    await lab.pass(RESYNC_MS);
    assert.equal(judged()?.reason, 'Impossible');
    assert.equal(told('Impossible').length, 1);
    lab.cluster.change(kinds.Model, 'a', { spec: { scaling: { firstTokenMillis: 600 } } });
    await lab.pass(1000);
    assert.equal(judged()?.reason, 'Unmeasured', 'another spec is another question');
  });
});
