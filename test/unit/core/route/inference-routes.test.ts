// What each route reads of a body, which faults it names, and what it takes the work to be.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { applyEdits } from '../../../../src/core/route/body-edits.ts';
import { PROMPTS_MAX } from '../../../../src/core/route/completion-fields.ts';
import { INPUTS_MAX } from '../../../../src/core/route/embedding-fields.ts';
import { estimateCost, inferenceRoutes, type RouteName } from '../../../../src/core/route/inference-routes.ts';
import { scanObject } from '../../../../src/core/route/json-scan.ts';

function read(route: RouteName, body: object) {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  const scan = scanObject(bytes);
  assert.ok(scan.ok);
  return inferenceRoutes[route].readFields(bytes, scan.value);
}

function fieldsOf(route: RouteName, body: object) {
  const fields = read(route, body);
  assert.ok(fields.ok, JSON.stringify(fields));
  return fields.value;
}

function costOf(route: RouteName, body: object): number {
  return estimateCost(fieldsOf(route, body), inferenceRoutes[route], 4096);
}

const messages = [{ role: 'user', content: 'x' }];

describe('completions', () => {
  test('prompts come in four forms, and every one of them is work', () => {
    const forms: readonly [unknown, number][] = [
      ['one text', 1],
      [['one', 'two', 'three'], 3],
      [[1, 2, 3], 1],
      [[[1], [2, 3]], 2],
      ['', 1],
    ];
    for (const [prompt, answers] of forms) {
      assert.equal(fieldsOf('completions', { model: 'a', prompt }).answers, answers, JSON.stringify(prompt));
    }
    assert.equal(fieldsOf('completions', { model: 'a', prompt: [[7, 8], [9]] }).promptTokens, 3);
  });

  test('stream, usage and bounds are read as for chat', () => {
    const fields = fieldsOf('completions', {
      ...{ model: 'a', prompt: 'x', stream: true, max_tokens: 0, n: 2, best_of: 3 },
      stream_options: { include_usage: true },
    });
    assert.deepEqual([fields.stream, fields.includeUsage, fields.answerTokensMax, fields.answers], [true, true, 0, 3]);
  });
});

describe('embeddings', () => {
  test('take a text, texts, token ids, and nothing that asks for a stream', () => {
    for (const input of ['x', ['x', 'y'], [1, 2], [[1], [2]]]) {
      const fields = fieldsOf('embeddings', { model: 'a', input, stream: true, encoding_format: 'base64' });
      assert.deepEqual([fields.stream, fields.answers], [false, 0]);
    }
  });
});

describe('faults name the field', () => {
  const rows: readonly [RouteName, object, string][] = [
    ['completions', { prompt: 'x' }, 'model'],
    ['completions', { model: 'a' }, 'prompt'],
    ['completions', { model: 'a', prompt: null }, 'prompt'],
    ['completions', { model: 'a', prompt: 7 }, 'prompt'],
    ['completions', { model: 'a', prompt: [] }, 'prompt'],
    ['completions', { model: 'a', prompt: ['x', 7] }, 'prompt[1]'],
    ['completions', { model: 'a', prompt: [1, 'x'] }, 'prompt[1]'],
    ['completions', { model: 'a', prompt: [1, -1] }, 'prompt[1]'],
    ['completions', { model: 'a', prompt: [1, 1.5] }, 'prompt[1]'],
    ['completions', { model: 'a', prompt: [[1], []] }, 'prompt[1]'],
    ['completions', { model: 'a', prompt: [[1], [2, 'x']] }, 'prompt[1][1]'],
    ['completions', { model: 'a', prompt: [{}] }, 'prompt[0]'],
    ['completions', { model: 'a', prompt: new Array(PROMPTS_MAX + 1).fill('x') }, 'prompt'],
    ['completions', { model: 'a', prompt: 'x', max_tokens: -1 }, 'max_tokens'],
    ['completions', { model: 'a', prompt: 'x', n: 0 }, 'n'],
    ['completions', { model: 'a', prompt: 'x', n: 129 }, 'n'],
    ['completions', { model: 'a', prompt: 'x', n: 3, best_of: 2 }, 'best_of'],
    ['completions', { model: 'a', prompt: 'x', stream: 1 }, 'stream'],
    ['completions', { model: 'a', prompt: 'x', stream_options: {} }, 'stream_options'],
    ['embeddings', { input: 'x' }, 'model'],
    ['embeddings', { model: 'a' }, 'input'],
    ['embeddings', { model: 'a', input: '' }, 'input'],
    ['embeddings', { model: 'a', input: ['x', ''] }, 'input[1]'],
    ['embeddings', { model: 'a', input: [] }, 'input'],
    ['embeddings', { model: 'a', input: {} }, 'input'],
    ['embeddings', { model: 'a', input: new Array(INPUTS_MAX + 1).fill('x') }, 'input'],
    ['chat', { model: 'a', messages, n: 'two' }, 'n'],
    ['chatSocket', { model: 'a', messages, stream: false }, 'stream'],
    ['chatSocket', { model: 'a', messages, stream: 'yes' }, 'stream'],
  ];
  for (const [route, body, param] of rows) {
    test(`${route}: ${param} of ${JSON.stringify(body).slice(0, 70)}`, () => {
      const fields = read(route, body);
      assert.equal(!fields.ok && fields.error.param, param);
      assert.match(fields.ok ? '' : fields.error.message, /\.$/);
    });
  }
});

describe('the cost of a request', () => {
  test('grows with every answer, and stops at the context', () => {
    const one = costOf('chat', { model: 'a', messages, max_tokens: 100 });
    assert.equal(costOf('chat', { model: 'a', messages, max_tokens: 100, n: 4 }) - one, 300);
    assert.equal(costOf('chat', { model: 'a', messages, max_tokens: 9e15, n: 2 }) < 10_000, true);
    const prompts = { model: 'a', prompt: ['x', 'y'], max_tokens: 10 };
    assert.equal(costOf('completions', prompts), 22);
    assert.equal(costOf('completions', { ...prompts, n: 2 }), 42);
  });

  test('of embeddings is the prompt alone', () => {
    assert.equal(costOf('embeddings', { model: 'a', input: [1, 2, 3] }), 3);
  });
});

describe('a body from a WebSocket', () => {
  test('reaches the engine as a stream with usage, and otherwise as it was', () => {
    const other = fc.dictionary(
      fc.string().filter((key) => !['stream', 'stream_options', 'model', 'messages', '__proto__'].includes(key)),
      fc.jsonValue({ maxDepth: 2 }),
    );
    const stream = fc.constantFrom({}, { stream: true }, { stream: null });
    const options = fc.constantFrom({}, { stream_options: null }, { stream_options: { include_usage: false, a: 1 } });
    fc.assert(
      fc.property(other, stream, options, fc.boolean(), (fields, given, asked, last) => {
        const body = last
          ? { ...fields, model: 'a', messages, ...given, ...asked }
          : { ...asked, ...given, model: 'a', messages, ...fields };
        const bytes = new TextEncoder().encode(JSON.stringify(body));
        const scan = scanObject(bytes);
        assert.ok(scan.ok);
        const { planEdits } = inferenceRoutes.chatSocket;
        const edited: unknown = JSON.parse(new TextDecoder().decode(applyEdits(bytes, planEdits(bytes, scan.value))));
        const options = { ...('stream_options' in body ? body.stream_options : {}), include_usage: true };
        // As JSON says it: there is no -0.
        const expected = JSON.stringify({ ...body, stream: true, stream_options: options });
        assert.deepEqual(edited, JSON.parse(expected));
      }),
    );
  });
});
