import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { firstProgressMs, progressBounds, renderProgress } from '../../../../src/core/route/progress.ts';

describe('what a held stream is told', () => {
  test('the verb says where the model comes from', () => {
    const cold = (rung: 'Asleep' | 'Staged' | undefined, etaMs: number) =>
      renderProgress('demo', { kind: 'Cold', rung, etaMs });
    assert.equal(cold('Asleep', 300), 'stoker model demo is waking, about 0.3 s');
    assert.equal(cold('Staged', 12_400), 'stoker model demo is starting, about 12 s');
    assert.equal(cold(undefined, 0), 'stoker model demo is starting, any moment');
  });

  test('one request is not several', () => {
    assert.match(renderProgress('demo', { kind: 'Busy', ahead: 1 }), / 1 request ahead/);
    assert.match(renderProgress('demo', { kind: 'Busy', ahead: 0 }), / 0 requests ahead/);
  });

  test('a name cannot end the comment', () => {
    assert.equal(renderProgress('a\n\ndata: x', { kind: 'Answering' }).includes('\n'), false);
  });

  test('a cold model with a long way to go is told of early', () => {
    assert.equal(firstProgressMs(true, 500, progressBounds), 250);
    assert.equal(firstProgressMs(true, 499, progressBounds), 1000);
    assert.equal(firstProgressMs(false, 5000, progressBounds), 1000);
  });
});
