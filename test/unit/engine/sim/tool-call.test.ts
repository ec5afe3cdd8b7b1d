import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Refusal } from '../../../../src/engine/llama/refusal.ts';
import { composeToolCall, parseDemandedTool, toolCallShape } from '../../../../src/engine/sim/tool-call.ts';

const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer' }, detailed: { type: 'boolean' }, odd: true },
    },
  },
};
const other = { type: 'function', function: { name: 'other' } };
const tools = [weather, other];
const source = { seed: 1, damage: undefined, question: 'q' };

describe('a demanded tool', () => {
  test('is the first when any will do, the named one, or none', () => {
    const nameOf = (toolChoice: unknown) => parseDemandedTool({ tools, tool_choice: toolChoice })?.name;
    assert.equal(nameOf('required'), 'get_weather');
    assert.equal(nameOf({ type: 'function', function: { name: 'other' } }), 'other');
    for (const choice of ['auto', 'none', null, undefined]) assert.equal(nameOf(choice), undefined);
  });

  const wrong: readonly (readonly [object, string])[] = [
    [{ tools: [], tool_choice: 'required' }, 'tool_choice'],
    [{ tools, tool_choice: 'always' }, 'tool_choice'],
    [{ tools, tool_choice: { type: 'function', function: { name: 'third' } } }, 'tool_choice'],
    [{ tools: {} }, 'tools'],
    [{ tools: [{}] }, 'tools[0].type'],
    [{ tools: [{ type: 'function', function: { name: 'a b' } }] }, 'tools[0].function.name'],
    [{ tools: Array(129).fill(other) }, 'tools'],
  ];
  for (const [body, param] of wrong) {
    test(`${JSON.stringify(body).slice(0, 70)} is refused by the name ${param}`, () => {
      assert.throws(
        () => parseDemandedTool(body),
        (error) => error instanceof Refusal && error.param === param,
      );
    });
  }

  test('property: whatever is declared, it is a tool, nothing or a refusal, and its arguments are JSON', () => {
    const declared = fc.record({ name: fc.constant('f'), parameters: fc.jsonValue() });
    fc.assert(
      fc.property(fc.array(fc.record({ type: fc.constant('function'), function: declared })), (given) => {
        try {
          const tool = parseDemandedTool({ tools: given, tool_choice: 'required' });
          assert.ok(tool);
          JSON.parse(composeToolCall(tool, source, 10_000).texts.join(''));
        } catch (error) {
          assert.ok(error instanceof Refusal, String(error));
        }
      }),
    );
  });
});

describe('a call', () => {
  const tool = parseDemandedTool({ tools, tool_choice: 'required' });
  assert.ok(tool);

  test('has arguments of the declared types, the same every time', () => {
    const { answer, texts } = composeToolCall(tool, source, 1000);
    const args = JSON.parse(texts.join(''));
    assert.deepEqual(
      Object.entries(args).map(([name, value]) => [name, typeof value]),
      [
        ['city', 'string'],
        ['days', 'number'],
        ['detailed', 'boolean'],
        ['odd', 'string'],
      ],
    );
    assert.equal(answer.finish, 'stop');
    assert.deepEqual(composeToolCall(tool, source, 1000).texts, texts);
    assert.notDeepEqual(composeToolCall(tool, { ...source, question: 'r' }, 1000).texts, texts);
    assert.equal(composeToolCall(tool, source, 3).answer.finish, 'length');
  });

  test('streams its name once, then fragments of the arguments, and ends with tool_calls', () => {
    const shape = toolCallShape(tool, 'q');
    const { opening } = shape;
    assert.match(JSON.stringify(opening), /"tool_calls":\[\{"index":0,"id":"call_[0-9a-z]+","type":"function"/);
    assert.deepEqual(shape.piece('{"ci', undefined), {
      delta: { tool_calls: [{ index: 0, function: { arguments: '{"ci' } }] },
      logprobs: null,
    });
    assert.equal(shape.finishReason('stop'), 'tool_calls');
    assert.equal(shape.finishReason('length'), 'length');
    assert.match(JSON.stringify(shape.choice('{}', undefined)), /"content":null,.*"arguments":"\{\}"/);
  });
});
