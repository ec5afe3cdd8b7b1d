import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readTokenLife } from '../../../src/lib/token-life.ts';

const tokenOf = (claims: unknown) => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;

test('the life of a token is what its claims say', () => {
  assert.deepEqual(readTokenLife(tokenOf({ iat: 100, exp: 700 })), { issuedAtMs: 100_000, expiresAtMs: 700_000 });
  assert.deepEqual(readTokenLife(tokenOf({ exp: 700 })), { issuedAtMs: 700_000, expiresAtMs: 700_000 });
  for (const odd of ['', 'good', 'a.b', 'a.b.c', 'a.b.c.d', tokenOf(null), tokenOf({}), tokenOf({ exp: '7' })]) {
    assert.equal(readTokenLife(odd), undefined, odd);
  }
});

test('whatever a token is, reading its life does not throw', () => {
  fc.assert(fc.property(fc.string(), (text) => void readTokenLife(text)));
  fc.assert(fc.property(fc.json(), (json) => void readTokenLife(tokenOf(json))));
});
