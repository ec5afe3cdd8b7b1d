// What routers count becomes what came when: nothing twice, nothing lost, and what came in a silence is no burst at its end.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Demand, ModelDemand, RouterHello } from '../../../src/api/link.ts';
import { createDemandNews } from '../../../src/controller/demand-news.ts';
import type { ModelNews } from '../../../src/core/plan/pool/fleet-planner.ts';

type Told = readonly (readonly [string, ModelNews])[];

// Only what the module reads of the messages.
const hello = (name: string, history: readonly object[] = []) => ({ name, history }) as unknown as RouterHello;
const demand = (arrivals: number, changes: Partial<ModelDemand> = {}) =>
  ({ models: [{ model: 'm', arrivals, arrivedTokens: arrivals * 100, ...changes }] }) as unknown as Demand;

function arrivalsIn(told: Told): { readonly atMs: number; readonly requests: number; readonly promptTokens: number }[] {
  return told.flatMap(([, news]) => (news.type === 'Arrived' ? [news] : []));
}

const sumOf = (told: Told) => arrivalsIn(told).reduce((sum, { requests }) => sum + requests, 0);

describe('what a router counts', () => {
  test('is told as differences, at the moment it was said', () => {
    const news = createDemandNews();
    news.ofHello(hello('r'), 0);
    assert.deepEqual(arrivalsIn(news.ofDemand('r', demand(3), 100)), [
      { type: 'Arrived', atMs: 100, requests: 3, promptTokens: 300 },
    ]);
    assert.deepEqual(arrivalsIn(news.ofDemand('r', demand(3), 1100)), []);
    assert.deepEqual(arrivalsIn(news.ofDemand('r', demand(5), 1500)), [
      { type: 'Arrived', atMs: 1500, requests: 2, promptTokens: 200 },
    ]);
  });

  test('is in its history when it comes to a new controller, and then not counted again', () => {
    const news = createDemandNews();
    const told = news.ofHello(
      hello('r', [{ model: 'm', countsPer10s: [4, 0, 2], tokensPer10s: [400, 0, 200] }]),
      30_000,
    );
    assert.deepEqual(
      arrivalsIn(told).map(({ atMs, requests }) => [atMs, requests]),
      [
        [10_000, 4],
        [20_000, 0],
        [30_000, 2],
      ],
    );
    assert.equal(sumOf(news.ofDemand('r', demand(6), 30_100)), 0);
    assert.equal(sumOf(news.ofDemand('r', demand(7), 30_200)), 1);
  });

  test('of a model that its history had no room for counts from the first telling on', () => {
    const news = createDemandNews();
    const history = Array.from({ length: 1000 }, (_, at) => ({ model: `m-${at}`, countsPer10s: [], tokensPer10s: [] }));
    news.ofHello(hello('r', history), 0);
    assert.equal(sumOf(news.ofDemand('r', demand(500_000), 100)), 0);
    assert.equal(sumOf(news.ofDemand('r', demand(500_002), 200)), 2);
    assert.equal(sumOf(news.ofDemand('r', demand(1, { model: 'new' }), 300)), 1);
  });

  test('while it was not heard is spread over that time', () => {
    const news = createDemandNews();
    news.ofHello(hello('r'), 0);
    news.ofDemand('r', demand(0), 0);
    // The session ended, and it comes back.
    assert.deepEqual(news.ofHello(hello('r'), 299_900), []);
    const all = arrivalsIn(news.ofDemand('r', demand(1500), 300_000));
    assert.ok(Math.abs(all.reduce((sum, { requests }) => sum + requests, 0) - 1500) < 1e-6);
    const inLast15s = all.filter(({ atMs }) => atMs > 285_000).reduce((sum, { requests }) => sum + requests, 0);
    assert.ok(Math.abs(inLast15s - 75) < 5, `${inLast15s} of 5 a second`);
    assert.ok(all.every(({ atMs }) => atMs > 0 && atMs <= 300_000));
  });

  test('is no more uses than there were requests', () => {
    const news = createDemandNews();
    news.ofHello(hello('r'), 0);
    assert.deepEqual(
      arrivalsIn(news.ofDemand('r', demand(1), 600_000)).map(({ atMs, requests }) => [atMs, requests]),
      [[600_000, 1]],
    );
  });

  test('begins from nothing when it was started anew', () => {
    const news = createDemandNews();
    news.ofHello(hello('r'), 0);
    news.ofDemand('r', demand(100), 100);
    assert.equal(sumOf(news.ofDemand('r', demand(2), 400)), 2);
  });

  test('is kept of those that were heard last, when there are very many', () => {
    const news = createDemandNews();
    news.ofHello(hello('r'), 0);
    news.ofDemand('r', demand(50), 0);
    for (let other = 0; other < 999; other += 1) news.ofDemand(`other-${other}`, demand(0), 1);
    news.ofDemand('r', demand(50), 2);
    for (let other = 1000; other < 1999; other += 1) news.ofDemand(`other-${other}`, demand(0), 3);
    assert.equal(sumOf(news.ofDemand('r', demand(51), 4)), 1);
  });

  test('is told whole, whenever and however often it is said', () => {
    const step = fc.record({ afterMs: fc.nat(400_000), more: fc.nat(1000), isBack: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const news = createDemandNews();
        news.ofHello(hello('r'), 0);
        let [nowMs, count, told] = [0, 0, 0];
        for (const { afterMs, more, isBack } of steps) {
          const beforeMs = nowMs;
          nowMs += afterMs;
          count += more;
          if (isBack) news.ofHello(hello('r'), nowMs);
          const all = news.ofDemand('r', demand(count), nowMs);
          told += sumOf(all);
          assert.ok(arrivalsIn(all).every(({ atMs }) => atMs <= nowMs && (atMs > beforeMs || afterMs === 0)));
        }
        assert.ok(Math.abs(told - count) < 1e-6 * Math.max(1, count));
      }),
    );
  });
});
