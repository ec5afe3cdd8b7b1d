import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { applyEdits, planUsageEdits } from '../../../../src/core/route/body-edits.ts';
import { scanObject } from '../../../../src/core/route/json-scan.ts';

function withUsage(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  const scan = scanObject(bytes);
  assert.ok(scan.ok);
  return applyEdits(bytes, planUsageEdits(bytes, scan.value));
}

const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

describe('asking the engine for usage', () => {
  test('changes nothing else', () => {
    const other = fc.dictionary(
      fc.string().filter((key) => key !== 'include_usage' && key !== '__proto__'),
      fc.jsonValue({ maxDepth: 2 }),
    );
    const options = fc.oneof(
      fc.constant({}),
      fc.record({ stream_options: fc.oneof(fc.constant(null), other, fc.constant({ include_usage: false, a: 1 })) }),
    );
    fc.assert(
      fc.property(other, options, fc.constantFrom(undefined, 2), (fields, given, indent) => {
        const body = { ...fields, ...given };
        const edited: unknown = JSON.parse(textOf(withUsage(JSON.stringify(body, null, indent))));
        const kept = 'stream_options' in given ? given.stream_options : {};
        const expected = { ...body, stream_options: { ...kept, include_usage: true } };
        assert.deepEqual(edited, JSON.parse(JSON.stringify(expected)));
      }),
    );
  });

  test('leaves every byte before and after the edit as it was', () => {
    assert.equal(
      textOf(withUsage('{ "model" : "é",\n"stream":true }')),
      '{ "model" : "é",\n"stream":true ,"stream_options":{"include_usage":true}}',
    );
    assert.equal(
      textOf(withUsage('{"stream_options":{"include_usage":null}}')),
      '{"stream_options":{"include_usage":true}}',
    );
  });

  test('without edits the same bytes come back', () => {
    const bytes = new Uint8Array([1, 2]);
    assert.equal(applyEdits(bytes, []), bytes);
  });
});
