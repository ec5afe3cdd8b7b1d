// What a long queue shows: how much comes, whatever a step is thought to cost.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createKeepUp, type QueueSeen } from '../../../../../src/core/plan/scale/keep-up.ts';
import { createScaler } from '../../../../../src/core/plan/scale/scaler.ts';
import { guess70B, scalerInput } from '../../../../support/scaler.ts';

const SPAN_MS = 120_000;
const crowd: QueueSeen = {
  nowMs: 0,
  oldestWaitMs: 100_000,
  waiting: 500,
  inFlight: 32,
  ready: 2,
  isSettled: true,
  startMs: 60_000,
};

describe('a queue', () => {
  test('whose oldest wait grows by half of the time has twice as much coming as what is ready can do', () => {
    const keepUp = createKeepUp(SPAN_MS);
    assert.equal(keepUp.look(crowd), 0);
    assert.equal(keepUp.look({ ...crowd, nowMs: 119_000, oldestWaitMs: 159_500 }), 0, 'not before the span is over');
    assert.equal(keepUp.look({ ...crowd, nowMs: SPAN_MS, oldestWaitMs: 160_000 }), 4);
  });

  test('that stands still has as much coming as what is ready can do, and one that is served has less', () => {
    const after = (oldestWaitMs: number) => {
      const keepUp = createKeepUp(SPAN_MS);
      keepUp.look(crowd);
      return keepUp.look({ ...crowd, nowMs: SPAN_MS, oldestWaitMs });
    };
    assert.equal(after(100_000), 2);
    assert.ok(Math.abs(after(95_000) - 1.92) < 1e-9);
  });

  test('that is not served at all asks for twice what is ready, and no more', () => {
    const keepUp = createKeepUp(SPAN_MS);
    keepUp.look(crowd);
    assert.equal(keepUp.look({ ...crowd, nowMs: SPAN_MS, oldestWaitMs: 220_000 }), 4);
  });

  const changes: readonly [string, Partial<QueueSeen>][] = [
    ['in which nobody has waited for a start and a half', { oldestWaitMs: 89_000 }],
    ['of fewer than are being served', { waiting: 20 }],
    ['at instances that answer nobody', { inFlight: 0 }],
    ['while something is on its way', { isSettled: false }],
  ];
  for (const [what, change] of changes) {
    test(`${what} says nothing`, () => {
      const keepUp = createKeepUp(SPAN_MS);
      keepUp.look({ ...crowd, ...change });
      keepUp.look({ ...crowd, nowMs: 60_000, oldestWaitMs: 160_000, ...change });
      assert.equal(keepUp.look({ ...crowd, nowMs: 130_000, oldestWaitMs: 220_000 }), 0, 'the span begins anew');
    });
  }

  test('keeps what it has shown while that is on its way, and forgets it when nobody waits', () => {
    const keepUp = createKeepUp(SPAN_MS);
    keepUp.look(crowd);
    keepUp.look({ ...crowd, nowMs: SPAN_MS, oldestWaitMs: 160_000 });
    const climbing = { ...crowd, nowMs: 150_000, isSettled: false };
    assert.equal(keepUp.look(climbing), 4);
    assert.equal(keepUp.look({ ...climbing, oldestWaitMs: 0, waiting: 0 }), 0);
  });
});

test('a crowd that has been gone for a while is forgotten, although somebody always waits', () => {
  const keepUp = createKeepUp(SPAN_MS);
  keepUp.look(crowd);
  keepUp.look({ ...crowd, nowMs: SPAN_MS, oldestWaitMs: 160_000 });
  const calm = { ...crowd, waiting: 1, oldestWaitMs: 30, ready: 4 };
  assert.equal(keepUp.look({ ...calm, nowMs: 130_000 }), 4);
  assert.equal(keepUp.look({ ...calm, nowMs: 249_000 }), 4);
  assert.equal(keepUp.look({ ...calm, nowMs: 250_000 }), 0);
});

/** Two are ready, and the figures say that one is enough. */
function decideOverTime(changes: Parameters<typeof scalerInput>[0] = {}) {
  const scaler = createScaler({ guess: guess70B, sinceMs: -600_000 });
  const at = (second: number) => {
    scaler.arrived(second * 1000, { requests: 5, promptTokens: 2000 });
    return scaler.decide(
      scalerInput({
        ...{ nowMs: second * 1000, ordered: 2, ready: 2, inFlight: 32, idleMs: 0 },
        ...{ waitingTokens: new Array<number>(500).fill(400), oldestWaitMs: 300_000 + second * 500 },
        ...changes,
      }),
    );
  };
  for (let second = 0; second < 121; second += 1) at(second);
  return at(121);
}

describe('a scaler whose costs are too low', () => {
  test('starts from nothing what a long queue shows to be lacking', () => {
    const { need, coldMax, desired } = decideOverTime();
    assert.ok(need.slow < 1 && Math.abs(need.keepUp - 4) < 0.1, JSON.stringify(need));
    assert.ok(coldMax === 4 && desired >= 4, `${coldMax} of ${desired}`);
  });

  test('and that hears nothing new starts nothing for waits that only grow older', () => {
    const { need, coldMax } = decideOverTime({ signalAgeMs: 6000 });
    assert.deepEqual([need.keepUp, coldMax], [0, 1]);
  });
});
