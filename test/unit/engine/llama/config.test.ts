import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseServerConfig, prefillChunkOf, queueMaxOf } from '../../../../src/engine/llama/config.ts';

const line = {
  instance: 'a/b/1',
  modelPath: '/m.gguf',
  servedName: 'demo',
  contextLength: 512,
  concurrency: 4,
  threads: 1,
  gpu: false,
  key: 'k'.repeat(32),
  drainMs: 1000,
};

test('defaults: batch, prompt chunk by device, queue of twice the slots', () => {
  const parsed = parseServerConfig(JSON.stringify(line));
  assert.ok(parsed.ok);
  assert.equal(parsed.value.batchSize, 512);
  assert.equal(prefillChunkOf(parsed.value), 128);
  assert.equal(prefillChunkOf({ ...parsed.value, gpu: 'cuda' }), 508);
  assert.equal(queueMaxOf(parsed.value), 8);
});

test('sampling defaults come as decimal strings or as numbers', () => {
  const parsed = parseServerConfig(JSON.stringify({ ...line, sampling: { temperature: '0.7', topP: 0.9 } }));
  assert.ok(parsed.ok);
  assert.deepEqual(parsed.value.sampling, { temperature: 0.7, topP: 0.9 });
});

test('a wrong line is refused by field, and the key is never repeated', () => {
  const wrong = parseServerConfig(JSON.stringify({ ...line, key: 'short-secret' }));
  assert.ok(!wrong.ok);
  assert.match(wrong.error, /key/);
  assert.doesNotMatch(wrong.error, /short-secret/);
  assert.ok(!parseServerConfig('nonsense').ok);
  assert.ok(!parseServerConfig(JSON.stringify({ ...line, gpu: true })).ok);
});
