// Quantities against Kubernetes' own notation, and figures as people read them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseQuantity, renderBytes, renderDuration, renderQuantity } from '../../../src/lib/units.ts';

describe('quantities', () => {
  const rows: readonly (readonly [string, bigint])[] = [
    ['0', 0n],
    ['1', 1000n],
    ['+1', 1000n],
    ['1.5', 1500n],
    ['.5', 500n],
    ['5.', 5000n],
    ['100m', 100n],
    ['0.1', 100n],
    ['1u', 1n],
    ['1n', 1n],
    ['1001u', 2n],
    ['1k', 1_000_000n],
    ['2M', 2_000_000_000n],
    ['1Ki', 1_024_000n],
    ['1.5Gi', 1_610_612_736_000n],
    ['0.3Ki', 307_200n],
    ['1e3', 1_000_000n],
    ['1E3', 1_000_000n],
    ['1E', 1_000_000_000_000_000_000_000n],
    ['1e-3', 1n],
    ['12e-1', 1200n],
    ['8Ei', 9_223_372_036_854_775_808_000n],
  ];
  for (const [text, milli] of rows) test(text, () => assert.equal(parseQuantity(text), milli));

  test('what is none', () => {
    for (const text of [
      '',
      '-1',
      'a',
      '1 Gi',
      '1GB',
      '1gi',
      '1e',
      'm',
      '.',
      '1e99',
      '1.2.3',
      'Infinity',
      '0x1',
      '1'.repeat(41),
    ])
      assert.equal(parseQuantity(text), undefined, text);
  });

  test('what is rendered is read back, and decimals agree with arithmetic', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 24n }), (milli) =>
        assert.equal(parseQuantity(renderQuantity(milli)), milli),
      ),
    );
    fc.assert(fc.property(fc.nat(1_000_000), (whole) => assert.equal(parseQuantity(`${whole / 1000}`), BigInt(whole))));
  });
});

test('bytes', () => {
  const rows = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1_048_575, '1.0 MiB'],
    [2_097_568, '2.0 MiB'],
    [5e12, '4.5 TiB'],
    [2 ** 62, '4096.0 PiB'],
  ] as const;
  for (const [bytes, text] of rows) assert.equal(renderBytes(bytes), text);
});

test('durations', () => {
  const rows = [
    [0, '0 ms'],
    [-5, '0 ms'],
    [999.4, '999 ms'],
    [999.6, '1.0 s'],
    [12_345, '12.3 s'],
    [59_940, '59.9 s'],
    [59_960, '1 min'],
    [245_000, '4 min 5 s'],
    [3_599_600, '1 h'],
    [12_000_000, '3 h 20 min'],
    [176_400_000, '2 d 1 h'],
  ] as const;
  for (const [ms, text] of rows) assert.equal(renderDuration(ms), text);
});
