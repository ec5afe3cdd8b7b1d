import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { frameKinds } from '../../../../src/api/data-path.ts';
import { createFrameStream } from '../../../../src/core/stream/canonical-frames.ts';
import { chunk, usageChunk } from '../../../support/fake-engine.ts';
import { readFrames } from '../../../support/running-agent.ts';

const names = { id: 'chatcmpl-1', model: 'served', systemFingerprint: 'revision-1' };

function pass(...pieces: readonly string[]) {
  const stream = createFrameStream(names);
  const text = pieces.map((piece) => stream.push(Buffer.from(piece))).join('') + stream.end();
  return readFrames(text).map(({ kind, data }) => ({ kind, body: data === '[DONE]' ? data : JSON.parse(data) }));
}

const whole = [
  chunk({ role: 'assistant', content: '' }),
  chunk({ content: 'Hi' }),
  chunk({}, 'stop'),
  usageChunk,
  'data: [DONE]\n\n',
];

describe('canonical frames', () => {
  test('carry our names and one kind each', () => {
    const frames = pass(...whole);
    assert.deepEqual(
      frames.map((frame) => frame.kind),
      ['role', 'content', 'finish', 'usage', 'done'],
    );
    for (const { body } of frames.slice(0, -1)) {
      assert.equal(body.id, 'chatcmpl-1');
      assert.equal(body.model, 'served');
      assert.equal(body.system_fingerprint, 'revision-1');
      assert.equal(body.created, 1);
    }
    assert.equal(frames[3]?.body.usage.total_tokens, 3);
    assert.deepEqual(frames[3]?.body.choices, []);
  });

  test('are the same however the engine cuts its bytes', () => {
    const bytes = Buffer.from(whole.join(''));
    const expected = createFrameStream(names).push(bytes);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length), { maxLength: 12 }), (places) => {
        const stream = createFrameStream(names);
        const cuts = [0, ...places.sort((a, b) => a - b), bytes.length];
        const text = cuts.slice(1).map((end, index) => stream.push(bytes.subarray(cuts[index], end)));
        assert.equal(text.join('') + stream.end(), expected);
      }),
    );
  });

  test('split a chunk that says several things', () => {
    const frames = pass(chunk({ content: 'Hi' }, 'stop', { usage: { total_tokens: 3 } }), 'data: [DONE]\n\n');
    assert.deepEqual(
      frames.map((frame) => frame.kind),
      ['content', 'finish', 'usage', 'done'],
    );
    assert.equal(frames[0]?.body.choices[0].finish_reason, null);
    assert.equal(frames[0]?.body.choices[0].delta.content, 'Hi');
    assert.equal('usage' in (frames[0]?.body ?? {}), false);
    assert.deepEqual(frames[1]?.body.choices[0].delta, {});
    assert.equal(frames[1]?.body.choices[0].finish_reason, 'stop');
  });

  test('know content from what is none', () => {
    const kindOf = (delta: object) => pass(chunk(delta))[0]?.kind;
    assert.equal(kindOf({ role: 'assistant' }), 'role');
    assert.equal(kindOf({ role: 'assistant', content: null }), 'role');
    assert.equal(kindOf({ content: '' }), 'other');
    assert.equal(kindOf({}), 'other');
    assert.equal(kindOf({ role: 'assistant', content: 'a' }), 'content');
    assert.equal(kindOf({ refusal: 'no' }), 'content');
    assert.equal(kindOf({ tool_calls: [{ index: 0 }] }), 'content');
    assert.equal(kindOf({ tool_calls: [] }), 'other');
    assert.equal(kindOf({ reasoning_content: 'hm' }), 'content');
  });

  const textChunk = (text: string, finish: string | null = null, more: object = {}) => {
    const choices = [{ index: 0, text, logprobs: null, finish_reason: finish }];
    return `data: ${JSON.stringify({ id: 'e', object: 'text_completion', created: 1, model: 'e', choices, ...more })}\n\n`;
  };

  test('of a text completion are told by their text', () => {
    const frames = pass(
      textChunk('Hi'),
      textChunk(''),
      textChunk(' you', 'stop', { usage: { total_tokens: 3 } }),
      'data: [DONE]\n\n',
    );
    assert.deepEqual(
      frames.map((frame) => frame.kind),
      ['content', 'other', 'content', 'finish', 'usage', 'done'],
    );
    assert.equal(frames[2]?.body.choices[0].text, ' you');
    assert.deepEqual(frames[3]?.body.choices[0], { index: 0, text: '', logprobs: null, finish_reason: 'stop' });
    assert.equal(frames[3]?.body.object, 'text_completion');
    assert.equal(frames[0]?.body.model, 'served');
  });

  const choice = (index: number, delta: object, finish: string | null = null) =>
    chunk(delta, finish).replace('"index":0', `"index":${index}`);

  test('of several choices are whole when each has ended', () => {
    const both = [choice(0, { content: 'a' }), choice(1, { content: 'b' }), choice(1, {}, 'stop')];
    const frames = pass(...both, choice(0, { content: 'c' }), choice(0, {}, 'length'), 'data: [DONE]\n\n');
    assert.deepEqual(
      frames.map((frame) => frame.kind),
      ['content', 'content', 'finish', 'content', 'finish', 'done'],
    );
    const cut = pass(...both, 'data: [DONE]\n\n');
    assert.equal(cut.at(-1)?.body.error.code, 'upstream_garbled');
  });

  test('an empty chunk after the end of a choice does not open it again', () => {
    assert.equal(pass(choice(0, { content: 'a' }, 'stop'), choice(0, {}), 'data: [DONE]\n\n').at(-1)?.kind, 'done');
  });

  const ends: [string, string[], string][] = [
    ['the engine ends without [DONE]', [chunk({ content: 'a' })], 'upstream_failed'],
    ['the engine ends at once', [], 'upstream_failed'],
    ['a chunk is not JSON', ['data: {"a\n\n'], 'upstream_garbled'],
    ['a chunk is an array', ['data: []\n\n'], 'upstream_garbled'],
    ['a chunk has no choices', ['data: {"object":"x"}\n\n'], 'upstream_garbled'],
    ['a choice is no object', ['data: {"choices":[1]}\n\n'], 'upstream_garbled'],
    ['[DONE] comes before a finish', [chunk({ content: 'a' }), 'data: [DONE]\n\n'], 'upstream_garbled'],
    ['the bytes are not UTF-8', ['data: "\xff"\n\n'], 'upstream_garbled'],
    ['the engine sends an error', ['data: {"error":{"message":"out of memory"}}\n\n'], 'upstream_failed'],
  ];
  for (const [what, pieces, code] of ends) {
    test(`end with an error frame when ${what}`, () => {
      const stream = createFrameStream(names);
      const text = pieces.map((piece) => stream.push(Buffer.from(piece, 'latin1'))).join('') + stream.end();
      const last = readFrames(text).at(-1);
      assert.equal(last?.kind, 'error');
      const { error } = JSON.parse(last?.data ?? '{}');
      assert.equal(error.code, code);
      assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'param', 'type']);
      assert.equal(stream.state(), 'failed');
      assert.equal(stream.push(Buffer.from(chunk({ content: 'late' }))), '');
    });
  }

  test('refuse a chunk above the bound', () => {
    const frames = pass(`data: ${'x'.repeat(1024 * 1024 + 10)}`);
    assert.equal(frames.at(-1)?.body.error.code, 'upstream_garbled');
  });

  test('are well formed whatever the engine sends', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.json(), fc.constantFrom(...whole, 'garbage'))), (pieces) => {
        const stream = createFrameStream(names);
        const text = pieces.map((piece) => stream.push(Buffer.from(`data: ${piece}\n\n`))).join('') + stream.end();
        const frames = readFrames(text);
        assert.ok(frames.every((frame) => (frameKinds as readonly string[]).includes(frame.kind)));
        const lasts = frames.filter((frame) => frame.kind === 'done' || frame.kind === 'error');
        assert.equal(lasts.length, 1);
        assert.equal(frames.at(-1), lasts[0]);
      }),
    );
  });
});
