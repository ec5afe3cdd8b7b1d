// The linter of scaling: every rule is broken once, and what the product's planner orders never breaks one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkOrders, keepAsItIs } from '../../../../src/core/check/orders.ts';
import { createFleetPlanner } from '../../../../src/core/plan/pool/fleet-planner.ts';
import type { ScalerInput } from '../../../../src/core/plan/scale/scaler.ts';
import { guess70B, scalerInput } from '../../../support/scaler.ts';

const order = (desired: number, changes: object = {}) => ({ desired, coldMax: 0, pressing: 0, ...changes });

const rows: readonly [string, Partial<ScalerInput>, ReturnType<typeof order>, string | undefined][] = [
  ['in order', { ordered: 2 }, order(1), undefined],
  ['more than the most', { max: 2 }, order(3), 'BeyondMax'],
  ['fewer than the least', { min: 2 }, order(1), 'BelowMin'],
  ['fewer while a router is silent', { ordered: 2, signalAgeMs: 5001 }, order(1), 'LoweredOnOldNews'],
  ['as many while a router is silent', { ordered: 2, signalAgeMs: 5001 }, order(2), undefined],
  ['fewer because the most was lowered meanwhile', { ordered: 3, max: 1, signalAgeMs: 5001 }, order(1), undefined],
  ['half a one', {}, order(0.5), 'NoNumber'],
  ['no number at all', {}, order(1, { coldMax: Number.NaN }), 'NoNumber'],
];
for (const [name, changes, ordered, rule] of rows) {
  test(`an order: ${name}`, () => {
    const input = scalerInput(changes);
    const findings = checkOrders({ models: new Map([['m', input]]), slots: 4 }, new Map([['m', ordered]]));
    assert.deepEqual(
      findings.map((finding) => finding.rule),
      rule === undefined ? [] : [rule],
    );
    const kept = new Map([['m', keepAsItIs(input)]]);
    assert.deepEqual(checkOrders({ models: new Map([['m', input]]), slots: 4 }, kept), []);
  });
}

test('the planner keeps the rules, whatever it is told', () => {
  const step = fc.record({
    gapMs: fc.nat(20_000),
    signalAgeMs: fc.constantFrom(0, 4000, 6000, 70_000, Number.POSITIVE_INFINITY),
    min: fc.nat(2),
    max: fc.integer({ min: 2, max: 6 }),
    ordered: fc.nat(7),
    waiting: fc.nat(30),
    inFlight: fc.nat(20),
    idleMs: fc.nat(100_000),
    arrivals: fc.nat(60),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const planner = createFleetPlanner();
      for (const model of ['a', 'b'])
        planner.add(model, { guess: { ...guess70B, sleepMs: 900, drainMs: 9 }, sinceMs: 0 });
      let nowMs = 0;
      for (const { gapMs, waiting, arrivals, ...rest } of steps) {
        nowMs += gapMs;
        planner.tell('a', { type: 'Arrived', atMs: nowMs, requests: arrivals, promptTokens: arrivals * 900 });
        const one = scalerInput({ nowMs, ready: rest.ordered, waitingTokens: new Array(waiting).fill(500), ...rest });
        const input = {
          models: new Map([
            ['a', one],
            ['b', { ...one, waitingTokens: [] }],
          ]),
          slots: 4,
        };
        assert.deepEqual(checkOrders(input, planner.decide(input)), []);
      }
    }),
  );
});
