import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { planDeadline } from '../../../../src/core/route/deadline.ts';

const limits = { firstContentMs: 300_000, gapMs: 30_000, totalMs: 600_000 };
const none = { deadlineMs: undefined, stainlessTimeoutSeconds: undefined, stainlessReadTimeoutSeconds: undefined };

describe('the deadline of a request', () => {
  test('without hints it is the class', () => {
    const plan = planDeadline(limits, none);
    assert.deepEqual(plan, { ok: true, value: { headMs: 600_000, ...limits } });
  });

  test('each hint bounds its own part', () => {
    const plan = planDeadline(limits, {
      deadlineMs: '2000',
      stainlessTimeoutSeconds: '1.5',
      stainlessReadTimeoutSeconds: '0.5',
    });
    assert.deepEqual(plan, { ok: true, value: { headMs: 500, firstContentMs: 2000, gapMs: 500, totalMs: 2000 } });
  });

  test('hints never make it longer, whatever they say', () => {
    const hint = fc.option(fc.oneof(fc.string(), fc.double().map(String), fc.nat().map(String)), { nil: undefined });
    fc.assert(
      fc.property(hint, hint, hint, (deadlineMs, stainlessTimeoutSeconds, stainlessReadTimeoutSeconds) => {
        const plan = planDeadline(limits, { deadlineMs, stainlessTimeoutSeconds, stainlessReadTimeoutSeconds });
        if (!plan.ok) return assert.match(plan.error, /x-stoker-deadline-ms/);
        const { headMs, firstContentMs, gapMs, totalMs } = plan.value;
        for (const [ms, most] of [
          [headMs, totalMs],
          [firstContentMs, limits.firstContentMs],
          [gapMs, limits.gapMs],
          [totalMs, limits.totalMs],
        ] as const) {
          assert.ok(ms > 0 && ms <= most);
        }
      }),
    );
  });

  test('our own header must make sense, those of others may not', () => {
    for (const deadlineMs of ['', '0', '-5', '1e3', '1.5', 'soon']) {
      assert.equal(planDeadline(limits, { ...none, deadlineMs }).ok, false, deadlineMs);
    }
    const plan = planDeadline(limits, { ...none, stainlessTimeoutSeconds: 'not given' });
    assert.equal(plan.ok && plan.value.headMs, 600_000);
  });
});
