// What the status page says about models.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadPageModule } from '../../../../support/page-module.ts';

const { renderMs, renderReadyIn, renderSummary } = await loadPageModule('models.js');

test('times are short and have a unit', () => {
  assert.deepEqual([0, 840, 9_960, 12_400, 119_000, 180_000].map(renderMs), [
    '0.1 s',
    '0.8 s',
    '10.0 s',
    '12 s',
    '119 s',
    '3 min',
  ]);
});

test('a model that is awake is ready now; one that failed promises nothing', () => {
  assert.equal(renderReadyIn({ awake: 1, etaMs: 0 }), 'now');
  assert.equal(renderReadyIn({ awake: 0, etaMs: 900 }), '≈ 0.9 s');
  assert.equal(renderReadyIn({ awake: 0, etaMs: 0 }), '–');
  assert.equal(renderReadyIn({ awake: 0, etaMs: 900, failure: {} }), '–');
});

test('the summary adds up all models', () => {
  const models = [
    { awake: 1, queued: 2, inFlight: 3 },
    { awake: 0, queued: 4, inFlight: 0 },
  ];
  assert.equal(renderSummary({ ready: true, models }), '2 models · 1 awake · 6 queued · 3 in flight');
  assert.equal(renderSummary({ ready: true, models: models.slice(1) }), '1 model · 0 awake · 4 queued · 0 in flight');
  assert.match(renderSummary({ ready: false, models: [] }), /^Waiting for the controller/);
});
