// Which configurations sleep: what is known to survive by default, what is known to break never, the rest when asked for.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { autoSleepOf, type SleepFacts, sleepRows, sleepVerdict, survivesSleep } from '../../../src/api/engine-sleep.ts';

const dense: SleepFacts = { engine: 'Vllm', args: [], architecture: 'Qwen3ForCausalLM' };

describe('what may sleep', () => {
  const cases: readonly [string, SleepFacts, { level1: string; level2: string; auto: string }][] = [
    ['a dense model on vLLM', dense, { level1: 'Survives', level2: 'Unknown', auto: 'Level1' }],
    [
      'a model nobody wrote about',
      { ...dense, architecture: 'NewForCausalLM' },
      { level1: 'Unknown', level2: 'Unknown', auto: 'Never' },
    ],
    [
      'a model of unknown architecture',
      { engine: 'Vllm', args: [] },
      { level1: 'Unknown', level2: 'Unknown', auto: 'Never' },
    ],
    [
      'recurrent state on vLLM',
      { ...dense, architecture: 'Qwen3NextForCausalLM' },
      { level1: 'Breaks', level2: 'Breaks', auto: 'Never' },
    ],
    [
      'an 8-bit cache on vLLM',
      { ...dense, args: ['--kv-cache-dtype=fp8_e4m3'] },
      { level1: 'Breaks', level2: 'Breaks', auto: 'Never' },
    ],
    [
      'a 16-bit cache on vLLM',
      { ...dense, args: ['--kv-cache-dtype=auto'] },
      { level1: 'Survives', level2: 'Unknown', auto: 'Level1' },
    ],
    ['SGLang', { ...dense, engine: 'Sglang' }, { level1: 'Unknown', level2: 'Unknown', auto: 'Never' }],
    [
      'SGLang with quantised weights',
      { ...dense, engine: 'Sglang', args: ['--quantization=fp8'] },
      { level1: 'Unknown', level2: 'Breaks', auto: 'Never' },
    ],
    ['llama-server', { engine: 'LlamaServer', args: [] }, { level1: 'Breaks', level2: 'Breaks', auto: 'Never' }],
  ];
  for (const [name, facts, expected] of cases) {
    test(name, () => {
      assert.equal(sleepVerdict(facts, 1), expected.level1);
      assert.equal(sleepVerdict(facts, 2), expected.level2);
      assert.equal(autoSleepOf(facts), expected.auto);
      assert.equal(survivesSleep({ ...facts, sleep: 'Level1' }), expected.level1 !== 'Breaks');
      assert.equal(survivesSleep({ ...facts, sleep: 'Level2' }), expected.level2 !== 'Breaks');
      assert.equal(survivesSleep({ ...facts, sleep: 'Never' }), false);
    });
  }

  test('every row says why and where that is from', () => {
    for (const row of sleepRows) {
      assert.ok(row.sources.length > 0 && row.why.endsWith('.'), row.why);
    }
  });
});
