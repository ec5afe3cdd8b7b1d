import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseCompletionRequest } from '../../../../src/engine/llama/completion-request.ts';
import { parseEmbeddingRequest } from '../../../../src/engine/llama/embedding-request.ts';
import { Refusal } from '../../../../src/engine/llama/refusal.ts';

function refusedBy(parse: () => unknown): Refusal {
  try {
    parse();
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error));
    return error;
  }
  throw new Error('it was taken');
}

test('a prompt is a text, texts, tokens, or lists of tokens', () => {
  const prompts = (prompt: unknown) => parseCompletionRequest({ prompt }).prompts;
  assert.deepEqual(prompts('a'), [{ at: 'prompt', text: 'a' }]);
  assert.deepEqual(prompts(['a', 'b']), [
    { at: 'prompt[0]', text: 'a' },
    { at: 'prompt[1]', text: 'b' },
  ]);
  assert.deepEqual(prompts([1, 2]), [{ at: 'prompt', tokens: [1, 2] }]);
  assert.deepEqual(prompts([[1], 'b']), [
    { at: 'prompt[0]', tokens: [1] },
    { at: 'prompt[1]', text: 'b' },
  ]);
});

test('the defaults are those of the path: sixteen tokens, one answer, no scores', () => {
  const request = parseCompletionRequest({ prompt: 'a', stop: null, suffix: '', best_of: 1, user: 'u' });
  const { tokensMax, choices, alternatives, echo, stream } = request;
  assert.deepEqual(
    { tokensMax, choices, alternatives, echo, stream },
    {
      tokensMax: 16,
      choices: 1,
      alternatives: undefined,
      echo: false,
      stream: false,
    },
  );
  assert.equal(parseCompletionRequest({ prompt: 'a', logprobs: 0 }).alternatives, 0);
  assert.equal(parseCompletionRequest({ prompt: 'a', n: 3, best_of: 3 }).choices, 3);
});

const wrong: readonly (readonly [object, string])[] = [
  [{}, 'prompt'],
  [{ prompt: null }, 'prompt'],
  [{ prompt: '' }, 'prompt'],
  [{ prompt: [] }, 'prompt'],
  [{ prompt: ['a', ''] }, 'prompt[1]'],
  [{ prompt: [1, -1] }, 'prompt'],
  [{ prompt: [1, 1.5] }, 'prompt'],
  [{ prompt: [[1], []] }, 'prompt[1]'],
  [{ prompt: [['a']] }, 'prompt[0]'],
  [{ prompt: 7 }, 'prompt'],
  [{ prompt: Array(65).fill('a') }, 'prompt'],
  [{ prompt: Array(20).fill('a'), n: 8 }, 'prompt'],
  [{ prompt: 'a', n: 9 }, 'n'],
  [{ prompt: 'a', best_of: 2 }, 'best_of'],
  [{ prompt: 'a', suffix: 'b' }, 'suffix'],
  [{ prompt: 'a', logprobs: true }, 'logprobs'],
  [{ prompt: 'a', logprobs: 21 }, 'logprobs'],
  [{ prompt: 'a', echo: 1 }, 'echo'],
  [{ prompt: 'a', echo: true, logprobs: 1 }, 'echo'],
  [{ prompt: 'a', max_tokens: 0 }, 'max_tokens'],
  [{ prompt: 'a', seed: 'x' }, 'seed'],
  [{ prompt: 'a', stop: ['', 'b'] }, 'stop'],
  [{ prompt: 'a', logit_bias: { 1: 101 } }, 'logit_bias'],
  [{ prompt: 'a', stream_options: { include_usage: true } }, 'stream_options'],
  [{ prompt: 'a', stream: true, stream_options: { include_usage: 1 } }, 'stream_options.include_usage'],
  [{ prompt: 'a', model: 1 }, 'model'],
];
for (const [body, param] of wrong) {
  test(`a completion refuses ${JSON.stringify(body).slice(0, 80)} by the name ${param}`, () => {
    const refusal = refusedBy(() => parseCompletionRequest(body));
    assert.equal(refusal.code, 'invalid_request');
    assert.equal(refusal.param, param);
  });
}

const wrongEmbeddings: readonly (readonly [object, string])[] = [
  [{}, 'input'],
  [{ input: '' }, 'input'],
  [{ input: [] }, 'input'],
  [{ input: ['a', 3] }, 'input[1]'],
  [{ input: [1, 'a'] }, 'input'],
  [{ input: Array(2049).fill('a') }, 'input'],
  [{ input: 'a', dimensions: 3 }, 'dimensions'],
  [{ input: 'a', dimensions: '4' }, 'dimensions'],
  [{ input: 'a', encoding_format: 'int8' }, 'encoding_format'],
];
for (const [body, param] of wrongEmbeddings) {
  test(`an embedding refuses ${JSON.stringify(body).slice(0, 80)} by the name ${param}`, () => {
    assert.equal(refusedBy(() => parseEmbeddingRequest(body, 4)).param, param);
  });
}

test('the number of inputs is bounded by the numbers of the answer', () => {
  assert.equal(parseEmbeddingRequest({ input: Array(2048).fill('a'), dimensions: 1024 }, 1024).inputs.length, 2048);
  const refusal = refusedBy(() => parseEmbeddingRequest({ input: Array(300).fill('a') }, 8192));
  assert.match(refusal.message, /8192 dimensions `input` may hold at most 256 items/);
});

test('property: whatever JSON comes, the answer is a request or a refusal', () => {
  const keys = ['prompt', 'input', 'n', 'best_of', 'echo', 'suffix', 'logprobs', 'stop', 'stream', 'dimensions'];
  const body = fc.dictionary(
    fc.constantFrom(...keys, 'logit_bias', 'stream_options', 'encoding_format'),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(fc.oneof(body, fc.jsonValue()), (json) => {
      for (const parse of [parseCompletionRequest, (given: unknown) => parseEmbeddingRequest(given, 4)]) {
        try {
          parse(json);
        } catch (error) {
          assert.ok(error instanceof Refusal, String(error));
        }
      }
    }),
  );
});
