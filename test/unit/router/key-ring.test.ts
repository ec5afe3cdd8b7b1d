import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bearerKey, createKeyRing, parseApiKeysFile } from '../../../src/router/api-keys.ts';

function keys(text: string) {
  const parsed = parseApiKeysFile(text);
  assert.ok(parsed.ok);
  return parsed.value;
}

test('a key that was found is known until it is taken away, or given to another tenant', () => {
  const ring = createKeyRing(keys('team-a: sk-alpha-12345\nteam-b: sk-beta-12345'));
  const alpha = ring.find('sk-alpha-12345');
  const beta = ring.find('sk-beta-12345');
  assert.ok(alpha !== undefined && beta !== undefined);
  assert.equal(alpha.tenant, 'team-a');
  assert.doesNotMatch(JSON.stringify(alpha), /sk-/);
  assert.equal(ring.find('sk-gamma-12345'), undefined);
  ring.replace(keys('team-c: sk-beta-12345\nteam-d: sk-gamma-12345'));
  assert.deepEqual([ring.has(alpha), ring.has(beta)], [false, false]);
  assert.equal(ring.tenantOf('Bearer sk-beta-12345'), 'team-c');
  assert.equal(ring.tenantOf('Bearer sk-alpha-12345'), undefined);
  ring.replace(keys('team-b: sk-beta-12345'));
  assert.equal(ring.has(beta), true);
});

test('a header that is no bearer key, or far too long, is not looked at', () => {
  for (const header of [undefined, '', 'Bearer', 'Basic abc', `Bearer ${'x'.repeat(1100)}`]) {
    assert.equal(bearerKey(header), undefined);
  }
  assert.equal(bearerKey('bearer   sk-a '), 'sk-a');
});
