// The line that the chat box writes under an answer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadPageModule } from '../../../../support/page-module.ts';

const { renderEnd } = await loadPageModule('chat.js');

test('an answer ends with its length, its first token and its speed', () => {
  const usage = { completion_tokens: 21 };
  assert.equal(
    renderEnd({ finishReason: 'stop', usage }, { askedMs: 1000, firstMs: 1900, endMs: 2900 }),
    '21 tokens · first after 0.9 s · 20 tokens/s',
  );
  assert.equal(
    renderEnd(
      { finishReason: 'length', usage: { completion_tokens: 1 } },
      { askedMs: 1000, firstMs: 1500, endMs: 1500 },
    ),
    'cut at the token limit · 1 token · first after 0.5 s',
  );
  assert.equal(renderEnd({}, { askedMs: 1000 }), '');
});
