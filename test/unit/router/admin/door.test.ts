// Who may ask what on the administration port.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type DoorFacts, judgeDoor } from '../../../../src/router/admin/door.ts';

function facts(change: Partial<DoorFacts>): DoorFacts {
  return { method: 'GET', path: '/', host: '127.0.0.1:8081', origin: undefined, peer: '127.0.0.1', ...change };
}

describe('judgeDoor, bound to loopback', () => {
  const judge = (change: Partial<DoorFacts>) => judgeDoor(facts(change), '127.0.0.1');

  test('lets programs of this machine and the own page read', () => {
    assert.equal(judge({}), undefined);
    assert.equal(judge({ host: 'localhost:8081', origin: 'http://localhost:8081' }), undefined);
    assert.equal(judge({ path: '/healthz', host: '[::1]:8081' }), undefined);
  });

  test('refuses a foreign or missing Host on every path', () => {
    for (const path of ['/', '/healthz', '/metrics', '/status.json', '/v1/chat/completions', '/nowhere']) {
      assert.match(judge({ path, host: 'rebound.example.org' }) ?? '', /Host header/, path);
      assert.match(judge({ path, host: undefined }) ?? '', /Host header/, path);
    }
  });

  test('refuses every origin but its own, other pages of this machine too', () => {
    for (const origin of ['https://example.org', 'null', '', 'http://127.0.0.1:3000', 'http://localhost:8081']) {
      assert.notEqual(judge({ origin }), undefined, origin);
      assert.notEqual(judge({ method: 'POST', path: '/v1/chat/completions', origin }), undefined, origin);
    }
  });

  test('posts need the origin of the own page', () => {
    const post = { method: 'POST', path: '/v1/chat/completions' };
    assert.equal(judge({ ...post, origin: 'http://127.0.0.1:8081' }), undefined);
    assert.match(judge(post) ?? '', /OpenAI address/);
  });
});

describe('judgeDoor, bound beyond loopback', () => {
  const judge = (change: Partial<DoorFacts>) => judgeDoor(facts(change), '0.0.0.0');
  const far = { host: '10.0.0.7:8081', peer: '10.0.0.9' };

  test('a kubelet and a scraper get health, readiness and metrics, a web page does not', () => {
    for (const path of ['/healthz', '/readyz', '/metrics']) {
      assert.equal(judge({ path, ...far }), undefined, path);
      assert.notEqual(judge({ path, ...far, origin: 'https://example.org' }), undefined, path);
    }
  });

  test('nothing else answers to another machine, whatever Host it names', () => {
    for (const path of ['/', '/status.json', '/v1/chat/completions']) {
      assert.match(judge({ path, ...far }) ?? '', /port-forward/, path);
      assert.match(judge({ path, ...far, host: 'localhost:8081' }) ?? '', /port-forward/, path);
      assert.match(judge({ path, peer: undefined }) ?? '', /port-forward/, path);
    }
  });

  test('a forwarded port is this machine', () => {
    assert.equal(judge({ host: 'localhost:8081', peer: '::ffff:127.0.0.1' }), undefined);
    assert.notEqual(judge({ host: 'rebound.example.org', peer: '127.0.0.1' }), undefined);
  });
});
