import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createHistogram, createServerMetrics } from '../../../../src/engine/llama/metrics.ts';
import { renderMetrics } from '../../../../src/engine/llama/metrics-text.ts';
import { parseProcessStatus } from '../../../../src/engine/llama/process-memory.ts';

test('a histogram counts values at or below each bound', () => {
  const histogram = createHistogram([1, 2]);
  for (const value of [0.5, 1, 2, 3]) histogram.observe(value);
  assert.deepEqual(histogram.cumulative, [
    ['1', 2],
    ['2', 3],
    ['+Inf', 4],
  ]);
  assert.equal(histogram.sum, 6.5);
});

test('the text has one HELP and TYPE per family, and every sample belongs to one', () => {
  const metrics = createServerMetrics();
  metrics.firstTokenSeconds.observe(0.02);
  const text = renderMetrics(metrics, {
    state: 'ready',
    queued: 1,
    slotsBusy: 2,
    slots: 4,
    kvTokensHeld: 10,
    kvTokens: 2048,
    memory: { anonymousBytes: 1024, swappedBytes: undefined },
  });
  const families = [...text.matchAll(/^# TYPE (\S+) /gm)].map((found) => found[1] ?? '');
  assert.equal(new Set(families).size, families.length);
  for (const line of text.trimEnd().split('\n')) {
    if (line.startsWith('#')) continue;
    assert.match(line, /^stoker_llama_[a-z_]+(\{[a-z]+="[^"]+"\})? [0-9.e+-]+$/);
    assert.ok(families.some((family) => line.startsWith(family)));
  }
  assert.match(text, /^stoker_llama_state\{state="ready"\} 1$/m);
  assert.match(text, /^stoker_llama_first_token_seconds_bucket\{le="0.025"\} 1$/m);
  assert.doesNotMatch(text, /swapped/);
});

test("the kernel's figures are read in bytes, and none is made up", () => {
  assert.deepEqual(parseProcessStatus('VmRSS:\t 9 kB\nRssAnon:\t     12 kB\nVmSwap:\t  0 kB\n'), {
    anonymousBytes: 12_288,
    swappedBytes: 0,
  });
  assert.deepEqual(parseProcessStatus(''), { anonymousBytes: undefined, swappedBytes: undefined });
});
