import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ApiKeys, parseApiKeysFile } from '../../../src/router/api-keys.ts';

function keys(text: string): ApiKeys {
  const parsed = parseApiKeysFile(text);
  assert.ok(parsed.ok);
  return parsed.value;
}

describe('the file of API keys', () => {
  test('holds keys alone and with their tenants', () => {
    const known = keys('# ours\n\nsk-alpha-1\r\nteam-b:   sk:beta:22\n  team-b: sk-gamma-3  \n');
    assert.equal(known.tenantOf('Bearer sk-alpha-1'), 'default');
    assert.equal(known.tenantOf('bearer  sk:beta:22'), 'team-b');
    assert.equal(known.tenantOf('Bearer sk-gamma-3 '), 'team-b');
  });

  test('no other key comes in', () => {
    const known = keys('sk-alpha-1');
    const wrong = [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      'sk-alpha-1',
      'Basic sk-alpha-1',
      'Bearer sk-alpha-12',
      'Bearer sk-alpha',
    ];
    for (const header of [...wrong, `Bearer ${'x'.repeat(5000)}`])
      assert.equal(known.tenantOf(header), undefined, header);
  });

  test('a look-up takes no longer with as many keys as there may be', () => {
    const key = (index: number) => `sk-key-${index}`;
    const many = keys(Array.from({ length: 10_000 }, (_, index) => `t${index}: ${key(index)}`).join('\n'));
    const one = keys(key(0));
    const msOf = (known: ApiKeys) => {
      const beganMs = performance.now();
      for (let index = 0; index < 1000; index += 1) known.find(key(index * 10));
      return performance.now() - beganMs;
    };
    msOf(one);
    const oneMs = msOf(one);
    const manyMs = msOf(many);
    // Comparing with each of them takes half a second.
    assert.ok(manyMs < 20 * oneMs + 100, `${manyMs} ms with many, ${oneMs} ms with one`);
    assert.equal(many.find(key(9999))?.tenant, 't9999');
    assert.equal(many.find(key(10_000)), undefined);
  });

  test('a fault names the line and never the key', () => {
    for (const [text, sentence] of [
      ['', /no key/],
      ['# nothing\n', /no key/],
      ['sk-alpha-1\nshort', /line 2: a key has 8/],
      [`${'x'.repeat(257)}`, /line 1: a key has/],
      ['team b: sk-alpha-1', /line 1: a key has no spaces/],
      ['-team: sk-alpha-1', /line 1: the name of a tenant/],
      [': sk-alpha-1', /line 1: the name of a tenant/],
      ['sk-älpha-1', /ASCII/],
      ['sk-alpha-1\na: sk-alpha-1', /line 2: this key is there twice/],
    ] as const) {
      const parsed = parseApiKeysFile(text);
      assert.ok(!parsed.ok, text);
      assert.match(parsed.error, sentence);
      assert.doesNotMatch(parsed.error, /alpha|short/);
    }
  });
});
