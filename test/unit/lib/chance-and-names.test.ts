// Seeded chance repeats, jitter stays in its bounds, and names are what others rely on.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { assert as promise, unreachable } from '../../../src/lib/assert.ts';
import { backoffCeilingMs, backoffDelayMs, createBackoff } from '../../../src/lib/backoff.ts';
import { parseInstanceId, publicId, renderInstanceId, slotName, uuid } from '../../../src/lib/ids.ts';
import { fail, ok } from '../../../src/lib/result.ts';
import { createRng, systemRng } from '../../../src/lib/rng.ts';

describe('rng', () => {
  test('the same seed gives the same numbers, another seed others', () => {
    const draw = (seed: number) => {
      const rng = createRng(seed);
      return Array.from({ length: 20 }, () => rng.next());
    };
    assert.deepEqual(draw(7), draw(7));
    assert.notDeepEqual(draw(7), draw(8));
  });

  test('numbers stay in range and fill it evenly', () => {
    const rng = createRng(1);
    const counts = new Array<number>(10).fill(0);
    for (let at = 0; at < 10_000; at += 1) {
      const value = rng.next();
      assert.ok(value >= 0 && value < 1);
      const bin = rng.below(10);
      counts[bin] = (counts[bin] ?? 0) + 1;
    }
    for (const count of counts) assert.ok(count > 850 && count < 1150, `${counts}`);
    assert.ok(systemRng.next() < 1 && systemRng.below(3) < 3);
  });
});

describe('backoff', () => {
  test('every wait is between 0 and its ceiling, which doubles up to the cap', () => {
    const bounds = fc.record({
      baseMs: fc.integer({ min: 1, max: 1000 }),
      capMs: fc.integer({ min: 1, max: 100_000 }),
      attempt: fc.nat(2000),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(bounds, ({ seed, ...options }) => {
        const waitMs = backoffDelayMs({ ...options, rng: createRng(seed) });
        assert.ok(waitMs >= 0 && waitMs <= backoffCeilingMs(options));
        assert.ok(backoffCeilingMs(options) <= options.capMs);
      }),
    );
    const ceilings = [0, 1, 2, 3, 4, 99].map((attempt) => backoffCeilingMs({ baseMs: 100, capMs: 1000, attempt }));
    assert.deepEqual(ceilings, [100, 200, 400, 800, 1000, 1000]);
  });

  test('jitter is full: the whole range is used', () => {
    const rng = createRng(3);
    const waits = Array.from({ length: 200 }, () => backoffDelayMs({ baseMs: 100, capMs: 100, attempt: 5, rng }));
    assert.ok(Math.min(...waits) < 5 && Math.max(...waits) > 95);
  });

  test('counts failures and starts anew after a success', () => {
    const rng = { next: () => 1, below: () => 0 };
    const backoff = createBackoff({ baseMs: 10, capMs: 35, rng });
    assert.deepEqual([backoff.nextMs(), backoff.nextMs(), backoff.nextMs()], [10, 20, 35]);
    assert.equal(backoff.failures(), 3);
    backoff.reset();
    assert.equal(backoff.nextMs(), 10);
  });
});

describe('names', () => {
  test('instance ids go there and back; anything else is none', () => {
    const part = fc.stringMatching(/^[-a-z0-9]{1,40}$/);
    fc.assert(
      fc.property(part, part, fc.integer({ min: 1, max: 999_999_999 }), (podUid, revision, incarnation) => {
        const id = { podUid, revision, incarnation };
        assert.deepEqual(parseInstanceId(renderInstanceId(id)), id);
      }),
    );
    for (const text of ['', 'a', 'a/b', 'a/b/0', 'a/b/01', 'a/b/1/2', '/b/1', 'a//1', 'a/b/1e3', 'a/b/9999999999'])
      assert.equal(parseInstanceId(text), undefined, text);
  });

  test('public ids have 128 random bits, slots a name that never changes', () => {
    assert.match(publicId('chatcmpl-'), /^chatcmpl-[0-9a-f]{32}$/);
    assert.notEqual(publicId('a'), publicId('a'));
    assert.match(uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-/);
    // sha256 of "uid-1,0" by sha256sum.
    assert.equal(slotName('default', 'uid-1', 0), 'default-9cd01f21');
    assert.notEqual(slotName('default', 'uid-1', 1), slotName('default', 'uid-1', 0));
  });
});

test('results and assertions', () => {
  assert.deepEqual(
    [ok(1), fail('a')],
    [
      { ok: true, value: 1 },
      { ok: false, error: 'a' },
    ],
  );
  promise(true, 'never shown');
  assert.throws(() => promise(false, 'a is b'), { name: 'AssertionFailure', message: 'broken promise: a is b' });
  // The compiler proves that it is never reached; this is what happens when it is wrong.
  assert.throws(() => unreachable('surprise' as never), /surprise/);
});
