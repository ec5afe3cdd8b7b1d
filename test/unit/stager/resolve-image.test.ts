// What a tag leads to, asked of a registry on loopback.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { parseTaggedImage } from '../../../src/api/engine-image.ts';
import { createManualClock, systemClock } from '../../../src/lib/clock.ts';
import type { RegistryLogin } from '../../../src/ports/images.ts';
import { createImageResolver } from '../../../src/stager/resolve-image.ts';
import { type FakeSource, sha256Of, startFakeSource } from '../../support/fake-source.ts';
import { until } from '../../support/until.ts';

const manifestPath = '/v2/acme/vllm/manifests/v1';
const single = { schemaVersion: 2, config: { digest: `sha256:${'a'.repeat(64)}` }, layers: [] };
const index = { schemaVersion: 2, manifests: [{ digest: `sha256:${'a'.repeat(64)}` }, { digest: 'another' }] };
const login = { username: 'me', password: 'pw' };
const basic = `Basic ${Buffer.from('me:pw').toString('base64')}`;

let source: FakeSource;
beforeEach(async () => {
  source = await startFakeSource();
});
afterEach(() => source.close());

const serve = (manifest: object) => {
  const bytes = Buffer.from(JSON.stringify(manifest));
  source.contents.set(manifestPath, bytes);
  return `sha256:${sha256Of(bytes)}`;
};

function resolve(given?: RegistryLogin, { clock = systemClock, signal = AbortSignal.timeout(10_000) } = {}) {
  const image = parseTaggedImage(`${source.url.slice('http://'.length)}/acme/vllm:v1`);
  assert.ok(image !== undefined);
  return createImageResolver(clock).resolveImage(image, given, signal);
}

async function refusalOf(given?: RegistryLogin) {
  const resolved = await resolve(given);
  return resolved.ok ? assert.fail(resolved.value) : resolved.error;
}

describe('the digest of a tag', () => {
  test('is that of the bytes of its manifest, or of its index: nodes choose their machine themselves', async () => {
    for (const manifest of [single, index]) {
      const digest = serve(manifest);
      assert.deepEqual(await resolve(), { ok: true, value: digest });
    }
    const [asked] = source.asked;
    assert.match(asked?.accept ?? '', /oci\.image\.index.*manifest\.list.*oci\.image\.manifest/);
    assert.equal(asked?.authorization, undefined);
  });

  test('is had with a token that the registry hands out for name and password', async () => {
    const digest = serve(single);
    source.contents.set('/token', Buffer.from('{"token":"t1"}'));
    source.wanted = (header) => header === 'Bearer t1' || header === basic;
    assert.deepEqual(await resolve(login), { ok: true, value: digest });
    assert.deepEqual((await refusalOf({ ...login, password: 'no' })).type, 'AccessDenied');
  });

  test('is had with name and password alone where the registry asks for them', async () => {
    const digest = serve(single);
    source.challenge = 'Basic realm="fake"';
    source.wanted = (header) => header === basic;
    assert.deepEqual(await resolve(login), { ok: true, value: digest });
    assert.deepEqual((await refusalOf({ ...login, password: 'no' })).type, 'AccessDenied');
    assert.deepEqual((await refusalOf()).type, 'AccessDenied');
  });

  test('is not there, or not now, or no image: each is told apart', async () => {
    assert.equal((await refusalOf()).type, 'NotFound');
    source.constant = { type: 'status', status: 503 };
    serve(single);
    assert.deepEqual(await refusalOf(), {
      type: 'Unreachable',
      message: `${source.url}${manifestPath} answered 503. It is asked again.`,
    });
    source.constant = undefined;
    for (const other of [{ schemaVersion: 1, fsLayers: [] }, { schemaVersion: 2, manifests: [] }, [], { errors: [] }]) {
      serve(other);
      const { type, message } = await refusalOf();
      assert.equal(type, 'Refused');
      assert.match(message, /answers for 127\.0\.0\.1:\d+\/acme\/vllm:v1 is no image\.$/);
    }
    source.contents.set(manifestPath, Buffer.alloc(5 * 1024 * 1024, ' '));
    assert.match((await refusalOf()).message, /more than 4194304 bytes/);
  });

  test('of a registry that is silent is given up, and nothing is left behind', async () => {
    serve(single);
    source.constant = { type: 'silent' };
    const clock = createManualClock();
    const resolving = resolve(undefined, { clock });
    await until(() => source.asked.length === 1, 'the question');
    clock.advance(60_000);
    const resolved = await resolving;
    assert.deepEqual(resolved.ok ? '' : resolved.error.type, 'Unreachable');
    assert.equal(clock.pendingTimers(), 0);
    const ending = new AbortController();
    const cut = resolve(undefined, { clock, signal: ending.signal });
    await until(() => source.asked.length === 2, 'the second question');
    ending.abort(new Error('stopped'));
    await assert.rejects(cut, /stopped/);
    assert.equal(clock.pendingTimers(), 0);
  });
});
