import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isLoopback, judgeOrigin, judgeSameOrigin } from '../../../../src/core/route/origin-rule.ts';

const allowed = new Set(['stoker.test']);

describe('who may talk to a port without keys', () => {
  test('programs and pages of this machine', () => {
    for (const host of ['localhost', 'LOCALHOST:8080', '127.0.0.1:8080', '[::1]:8080', 'stoker.test:1']) {
      assert.equal(judgeOrigin({ host, origin: undefined }, allowed), undefined, host);
    }
    for (const origin of ['http://localhost:3000', 'https://127.0.0.1', 'http://[::1]:5', 'http://stoker.test']) {
      assert.equal(judgeOrigin({ host: 'localhost', origin }, allowed), undefined, origin);
    }
  });

  test('nobody else', () => {
    const hosts = [
      undefined,
      '',
      'example.org',
      'localhost.example.org',
      'localhost@example.org',
      '127.0.0.1.nip.io',
      '0.0.0.0',
      'a b',
    ];
    for (const host of hosts) assert.match(judgeOrigin({ host, origin: undefined }, allowed) ?? '', /Host/, host);
    const origins = [
      'null',
      '',
      'https://example.org',
      'http://localhost.example.org',
      'file://',
      'http://localhost@example.org',
      'http://example.org/localhost',
    ];
    for (const origin of origins)
      assert.match(judgeOrigin({ host: 'localhost', origin }, allowed) ?? '', /origin/, origin);
  });

  test('a page of the same address only', () => {
    assert.equal(judgeSameOrigin({ host: 'localhost:8081', origin: undefined }), undefined);
    assert.equal(judgeSameOrigin({ host: 'localhost:8081', origin: 'http://LOCALHOST:8081' }), undefined);
    for (const origin of ['http://localhost:8080', 'http://127.0.0.1:8081', 'null']) {
      assert.notEqual(judgeSameOrigin({ host: 'localhost:8081', origin }), undefined, origin);
    }
  });

  test('loopback addresses', () => {
    for (const host of ['127.0.0.1', '127.9.9.9', 'localhost', '::1']) assert.equal(isLoopback(host), true, host);
    for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.nip.io', ''])
      assert.equal(isLoopback(host), false, host);
  });
});
