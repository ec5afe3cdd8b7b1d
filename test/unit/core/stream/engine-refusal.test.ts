// What engines that are not ours say about bad requests, as their servers render it, in our error body.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { translateRefusal } from '../../../../src/core/stream/engine-refusal.ts';

const bad = (message: string, param: string | null = null, code = 'invalid_request') => ({
  error: { message, type: 'invalid_request_error', param, code },
});

describe('translateRefusal', () => {
  const cases: readonly [string, number, object, object | undefined][] = [
    [
      'vLLM, a field',
      400,
      {
        error: {
          message: 'temperature must be non-negative',
          type: 'BadRequestError',
          param: 'temperature',
          code: 400,
        },
      },
      bad('temperature must be non-negative', 'temperature'),
    ],
    [
      'vLLM, a long prompt',
      400,
      {
        error: {
          message: "This model's maximum context length is 10 tokens.",
          type: 'BadRequestError',
          param: null,
          code: 400,
        },
      },
      bad("This model's maximum context length is 10 tokens.", null, 'context_length_exceeded'),
    ],
    [
      'SGLang, flat',
      400,
      { object: 'error', message: 'min_p must be in [0, 1]', type: 'BadRequestError', param: null, code: 400 },
      bad('min_p must be in [0, 1]'),
    ],
    [
      'SGLang, a long prompt',
      400,
      {
        object: 'error',
        message: "The input (9 tokens) is longer than the model's context length (5 tokens).",
        code: 400,
      },
      bad(
        "The input (9 tokens) is longer than the model's context length (5 tokens).",
        null,
        'context_length_exceeded',
      ),
    ],
    [
      'llama-server, a long prompt',
      400,
      { error: { code: 400, message: 'too much', type: 'exceed_context_size_error', n_prompt_tokens: 9, n_ctx: 5 } },
      bad('too much', null, 'context_length_exceeded'),
    ],
    [
      'FastAPI, a body that cannot be read',
      422,
      { detail: [{ loc: ['body', 'messages', 0, 'role'], msg: 'Field required', type: 'missing' }] },
      bad('Field required', 'messages.0.role'),
    ],
    ['FastAPI, a sentence', 400, { detail: 'Bad body' }, bad('Bad body')],
    [
      'a failure of the engine',
      500,
      { error: { message: 'CUDA error', type: 'InternalServerError', code: 500 } },
      undefined,
    ],
    ['a model that is not there', 404, { error: { message: 'no model', code: 404 } }, undefined],
    ['an engine that is loading', 503, { error: { message: 'Loading model', code: 503 } }, undefined],
    ['nothing said', 400, {}, undefined],
    ['no text', 400, { error: { message: 5 } }, undefined],
  ];
  for (const [name, status, answer, expected] of cases) {
    test(name, () => assert.deepEqual(translateRefusal(status, answer as Record<string, unknown>), expected));
  }

  test('is bounded, and no shape breaks it', () => {
    const long = translateRefusal(400, { message: 'x'.repeat(9000), param: 'y'.repeat(9000) });
    assert.equal(long?.error.message.length, 500);
    assert.equal(long?.error.param?.length, 64);
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('error', 'message', 'detail', 'param', 'type'), fc.jsonValue()),
        (answer) => {
          const body = translateRefusal(400, answer);
          assert.ok(body === undefined || body.error.message.length > 0);
        },
      ),
    );
  });
});
