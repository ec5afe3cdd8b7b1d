import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseChatRequest } from '../../../../src/engine/llama/chat-request.ts';
import { Refusal } from '../../../../src/engine/llama/refusal.ts';
import { resolveSampling } from '../../../../src/engine/llama/sampling.ts';
import { createRng } from '../../../../src/lib/rng.ts';

const messages = [{ role: 'user', content: 'hello' }];

function refusedParam(body: unknown): string | null {
  try {
    parseChatRequest(body);
  } catch (error) {
    assert.ok(error instanceof Refusal);
    assert.equal(error.code, 'invalid_request');
    return error.param;
  }
  throw new Error('it was taken');
}

test('roles and text parts become plain messages', () => {
  const request = parseChatRequest({
    model: 'demo',
    messages: [
      { role: 'developer', content: 'be brief' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      },
      { role: 'assistant', content: 'c' },
    ],
  });
  assert.deepEqual(request.messages, [
    { role: 'system', text: 'be brief' },
    { role: 'user', text: 'ab' },
    { role: 'assistant', text: 'c' },
  ]);
});

test('max_completion_tokens goes before max_tokens; one stop text or several', () => {
  const request = parseChatRequest({ messages, max_tokens: 5, max_completion_tokens: 7, stop: 'x' });
  assert.equal(request.tokensMax, 7);
  assert.deepEqual(request.stops, ['x']);
  assert.deepEqual(parseChatRequest({ messages, stop: ['a', 'b'] }).stops, ['a', 'b']);
});

test('null means absent, and values that ask for nothing are taken', () => {
  const request = parseChatRequest({
    messages,
    n: 1,
    temperature: null,
    tools: [],
    tool_choice: 'none',
    logprobs: false,
    response_format: { type: 'text' },
    stop: null,
    user: 'u',
  });
  assert.equal(request.sampling.temperature, undefined);
});

test('log-probabilities are asked for by a switch and a number', () => {
  const alternatives = (more: object) => parseChatRequest({ messages, ...more }).alternatives;
  assert.equal(alternatives({}), undefined);
  assert.equal(alternatives({ logprobs: false }), undefined);
  assert.equal(alternatives({ logprobs: true }), 0);
  assert.equal(alternatives({ logprobs: true, top_logprobs: 20 }), 20);
});

test('an engine with tools reads calls and their results, and still names what is wrong', () => {
  const call = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } };
  const body = {
    messages: [...messages, { role: 'assistant', content: null, tool_calls: [call] }, { role: 'tool', content: '7' }],
    tools: [{ type: 'function', function: { name: 'f' } }],
    tool_choice: 'required',
  };
  const request = parseChatRequest(body, { tools: true });
  assert.deepEqual(
    request.messages.map(({ role }) => role),
    ['user', 'assistant', 'tool'],
  );
  assert.throws(
    () => parseChatRequest({ ...body, response_format: { type: 'json_object' } }, { tools: true }),
    Refusal,
  );
});

const refused: readonly (readonly [object, string])[] = [
  [{}, 'messages'],
  [{ messages: [] }, 'messages'],
  [{ messages: ['x'] }, 'messages[0]'],
  [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].role'],
  [{ messages: [{ role: 'user' }] }, 'messages[0].content'],
  [
    {
      messages: [
        ...messages,
        {
          role: 'user',
          content: [
            { type: 'text', text: 'a' },
            { type: 'image_url', image_url: { url: 'x' } },
          ],
        },
      ],
    },
    'messages[1].content[1]',
  ],
  [{ messages: [{ role: 'assistant', content: null, tool_calls: [] }] }, 'messages[0].tool_calls'],
  [{ messages, n: 9 }, 'n'],
  [{ messages, n: 0 }, 'n'],
  [{ messages, logprobs: 1 }, 'logprobs'],
  [{ messages, logprobs: true, top_logprobs: 21 }, 'top_logprobs'],
  [{ messages, top_logprobs: 3 }, 'top_logprobs'],
  [{ messages, audio: {} }, 'audio'],
  [{ messages, modalities: ['audio'] }, 'modalities'],
  [{ messages, functions: [{}] }, 'functions'],
  [{ messages, tools: [{}] }, 'tools'],
  [{ messages, tool_choice: 'required' }, 'tool_choice'],
  [{ messages, response_format: { type: 'json_object' } }, 'response_format'],
  [{ messages, temperature: 2.1 }, 'temperature'],
  [{ messages, temperature: '1' }, 'temperature'],
  [{ messages, max_tokens: 0 }, 'max_tokens'],
  [{ messages, seed: 1.5 }, 'seed'],
  [{ messages, stop: ['', 'a'] }, 'stop'],
  [{ messages, stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop'],
  [{ messages, logit_bias: { cat: 1 } }, 'logit_bias'],
  [{ messages, logit_bias: { 1: 101 } }, 'logit_bias'],
  [{ messages, stream_options: { include_usage: true } }, 'stream_options'],
  [{ messages, stream: 'yes' }, 'stream'],
];

for (const [body, param] of refused) {
  test(`refuses ${JSON.stringify(body).slice(0, 90)} by the name ${param}`, () => {
    assert.equal(refusedParam(body), param);
  });
}

test('property: whatever JSON comes, the answer is a request or a refusal', () => {
  const body = fc.dictionary(
    fc.constantFrom('messages', 'n', 'stop', 'stream', 'temperature', 'logit_bias', 'tools', 'seed', 'stream_options'),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(fc.oneof(body, fc.jsonValue()), (json) => {
      try {
        parseChatRequest(json);
      } catch (error) {
        assert.ok(error instanceof Refusal, String(error));
      }
    }),
  );
});

test("the request's sampling goes before the revision's, and the seed is drawn only when none is given", () => {
  const rng = createRng(1);
  const asked = parseChatRequest({ messages, temperature: 0.2, seed: -1 }).sampling;
  const sampling = resolveSampling(asked, { temperature: 0.9, topP: 0.8, topK: 20 }, rng);
  assert.deepEqual(
    { temperature: sampling.temperature, topP: sampling.topP, topK: sampling.topK, seed: sampling.seed },
    { temperature: 0.2, topP: 0.8, topK: 20, seed: 2 ** 31 - 1 },
  );
  const plain = parseChatRequest({ messages }).sampling;
  const first = resolveSampling(plain, undefined, rng);
  const second = resolveSampling(plain, undefined, rng);
  assert.notEqual(first.seed, second.seed);
  assert.deepEqual([first.temperature, first.topP, first.topK], [1, 1, 40]);
  assert.equal(resolveSampling({ ...plain, topK: -1 }, undefined, rng).topK, 1000);
});
