import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readChatFields } from '../../../../src/core/route/chat-fields.ts';
import { scanObject } from '../../../../src/core/route/json-scan.ts';

function read(body: object) {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  const scan = scanObject(bytes);
  assert.ok(scan.ok);
  return readChatFields(bytes, scan.value);
}

const messages = [{ role: 'user', content: 'x' }];

describe('the fields that the router acts on', () => {
  test('are read with their defaults', () => {
    const fields = read({ model: 'a/b', messages });
    assert.ok(fields.ok);
    const { segments, promptTokens, ...rest } = fields.value;
    assert.deepEqual(rest, {
      model: 'a/b',
      stream: false,
      includeUsage: false,
      answerTokensMax: undefined,
      answers: 1,
    });
    assert.equal(segments.length, 1);
    assert.ok(promptTokens > 1);
  });

  test('max_completion_tokens goes before max_tokens; null is as good as nothing', () => {
    const fields = read({
      ...{ model: 'a', messages, stream: true, max_tokens: 5, max_completion_tokens: 7 },
      stream_options: { include_usage: true },
    });
    assert.ok(fields.ok);
    assert.equal(fields.value.answerTokensMax, 7);
    assert.equal(fields.value.includeUsage, true);
    assert.equal(read({ model: 'a', messages, stream: null, max_tokens: null, stream_options: null }).ok, true);
  });

  test('contents of every kind that OpenAI has pass', () => {
    const kinds = [
      { role: 'user', content: [{ type: 'text', text: 'x' }] },
      { role: 'assistant', content: null, tool_calls: [] },
      { role: 'assistant' },
      { role: 'tool', content: '', tool_call_id: 'a', unknown: [1] },
    ];
    assert.equal(read({ model: 'a', messages: kinds }).ok, true);
  });

  const wrong: readonly [object, string][] = [
    [{ messages }, 'model'],
    [{ model: '', messages }, 'model'],
    [{ model: 'x'.repeat(129), messages }, 'model'],
    [{ model: 'a', messages: 'x' }, 'messages'],
    [{ model: 'a', messages: ['x'] }, 'messages[0]'],
    [{ model: 'a', messages: [...messages, { role: 7 }] }, 'messages[1].role'],
    [{ model: 'a', messages: [{ role: 'user', content: 7 }] }, 'messages[0].content'],
    [{ model: 'a', messages: [{ role: 'user', content: ['x'] }] }, 'messages[0].content'],
    [{ model: 'a', messages, stream: true, stream_options: 7 }, 'stream_options'],
    [{ model: 'a', messages, stream: true, stream_options: { include_usage: 7 } }, 'stream_options.include_usage'],
    [{ model: 'a', messages, max_completion_tokens: 1.5 }, 'max_completion_tokens'],
  ];
  for (const [body, param] of wrong) {
    test(`a wrong ${param} is named: ${JSON.stringify(body).slice(0, 60)}`, () => {
      const fields = read(body);
      assert.equal(fields.ok, false);
      assert.equal(!fields.ok && fields.error.param, param);
    });
  }
});
