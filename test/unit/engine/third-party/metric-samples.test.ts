// The reader of Prometheus text: what engines really print, and whatever else.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readSamples } from '../../../../src/engine/third-party/metric-samples.ts';

describe('readSamples', () => {
  test('adds up the series of a name and finds the largest', () => {
    const text = [
      '# HELP vllm:num_requests_running Number of requests in model execution batches.',
      '# TYPE vllm:num_requests_running gauge',
      'vllm:num_requests_running{engine="0",model_name="a"} 3.0',
      'vllm:num_requests_running{engine="1",model_name="a"} 4.0 1700000000000',
      'vllm:num_requests_running_total{engine="1"} 100',
      'llamacpp:requests_processing 1',
    ].join('\n');
    const samples = readSamples(text, ['vllm:num_requests_running', 'llamacpp:requests_processing', 'absent']);
    assert.equal(samples.sum('vllm:num_requests_running'), 7);
    assert.equal(samples.max('vllm:num_requests_running'), 4);
    assert.equal(samples.sum('llamacpp:requests_processing'), 1);
    assert.equal(samples.sum('absent'), undefined);
  });

  test('braces and quotes in label values do not end the labels', () => {
    const samples = readSamples('a{x="}\\"} 9",y="{"} 2', ['a']);
    assert.equal(samples.sum('a'), 2);
  });

  test('what is no finite number is passed over', () => {
    const samples = readSamples('a NaN\na +Inf\na\na {\na{x="} 1\na abc\na 1e3', ['a']);
    assert.equal(samples.sum('a'), 1000);
  });

  const label = fc
    .string()
    .map((value) => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n'));
  test('finds what was written, among anything', () => {
    const row = fc.record({
      value: fc.double({ noNaN: true, noDefaultInfinity: true }),
      label,
      isLabelled: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(row, { maxLength: 8 }), fc.array(fc.string(), { maxLength: 8 }), (rows, noise) => {
        const lines = rows.map((each) => `name${each.isLabelled ? `{a="${each.label}",b="1"}` : ''} ${each.value}`);
        const others = noise.map((line) => `other_${line.replaceAll('\n', '')}`);
        const samples = readSamples([...others, ...lines, ''].join('\n'), ['name']);
        const expected = rows.length === 0 ? undefined : Math.max(...rows.map((each) => Number(String(each.value))));
        assert.equal(samples.max('name'), expected);
      }),
    );
  });

  test('no text breaks it', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 400 }), (text) => void readSamples(text, ['a', ''])));
    fc.assert(fc.property(fc.stringMatching(/^a[{}"\\ =0-9,\n]{0,60}$/), (text) => void readSamples(text, ['a'])));
  });
});
