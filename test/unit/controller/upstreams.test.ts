// The keys of models that somebody else serves: what becomes of each Secret that there may be, and that a key is in no sentence.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { kinds, type Secret } from '../../../src/api/kinds.ts';
import type { ModelRevision } from '../../../src/api/model-revision.ts';
import { createUpstreams, type Upstreams } from '../../../src/controller/upstreams.ts';
import { createMemoryCluster, type MemoryCluster } from '../../support/memory-cluster.ts';

const signal = new AbortController().signal;
const KEY = 'sk-very-secret';
let cluster: MemoryCluster;
let upstreams: Upstreams;
let changed: string[];

beforeEach(async () => {
  cluster = createMemoryCluster(() => 0);
  changed = [];
  upstreams = createUpstreams(cluster, (model) => void changed.push(model));
  await cluster.create(kinds.ModelRevision, revision('house-api/token'));
});

function revision(origin: string | undefined): ModelRevision {
  return {
    apiVersion: kinds.ModelRevision.apiVersion,
    kind: 'ModelRevision',
    metadata: { name: 'large-1', annotations: origin === undefined ? {} : { 'stoker.dev/api-key': origin } },
    spec: {
      modelName: 'large',
      digest: `v1:sha256:${'a'.repeat(64)}`,
      remote: { baseUrl: 'https://api.example.com/v1', model: 'their-model' },
      engine: { name: 'Remote', build: 'remote' },
    },
  };
}

function secret(data: Record<string, string>): Secret {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'house-api' }, data };
}

const base64 = (text: string) => Buffer.from(text).toString('base64');
const state = () => upstreams.stateOf(revision('house-api/token'));

describe('the key of an upstream', () => {
  test('is being read at first, and then is what the Secret says, without the line end', async () => {
    assert.deepEqual(state(), { type: 'reading' });
    await cluster.create(kinds.Secret, secret({ token: base64(`${KEY}\n`) }));
    const outcome = await upstreams.reconcile('large-1', signal);
    assert.equal(outcome.type, 'again');
    assert.deepEqual(state(), { type: 'ready', key: KEY });
    assert.deepEqual(changed, ['large']);
  });

  test('is empty when none is named, and nothing is read then', async () => {
    assert.deepEqual(upstreams.stateOf(revision(undefined)), { type: 'ready', key: '' });
    await cluster.patch(kinds.ModelRevision, 'large-1', { metadata: { annotations: { 'stoker.dev/api-key': null } } });
    assert.deepEqual(await upstreams.reconcile('large-1', signal), { type: 'done' });
  });

  const refused: readonly [string, Record<string, string> | undefined, string, RegExp][] = [
    ['no Secret', undefined, 'SecretMissing', /^There is no Secret house-api\. Make it/],
    ['no entry', { other: base64(KEY) }, 'SecretKeyMissing', /^The Secret house-api has no entry token\. Add it/],
    ['an empty entry', { token: '' }, 'SecretKeyInvalid', /: it is empty\.$/],
    ['white space', { token: base64(' \n') }, 'SecretKeyInvalid', /: it is empty\.$/],
    ['a line in it', { token: base64(`${KEY}\nx: y`) }, 'SecretKeyInvalid', /characters that are not visible ASCII\.$/],
    ['another script', { token: base64('ключ') }, 'SecretKeyInvalid', /characters that are not visible ASCII\.$/],
    ['a novel', { token: base64('k'.repeat(5000)) }, 'SecretKeyInvalid', /more than 4096 characters\.$/],
  ];
  for (const [name, data, reason, sentence] of refused) {
    test(`${name} is refused as ${reason}`, async () => {
      if (data !== undefined) await cluster.create(kinds.Secret, secret(data));
      await upstreams.reconcile('large-1', signal);
      const found = state();
      assert.equal(found.type, 'refused');
      if (found.type !== 'refused') return;
      assert.equal(found.reason, reason);
      assert.match(found.message, sentence);
      assert.doesNotMatch(found.message, /sk-/);
    });
  }

  for (const name of ['stoker-slot-keys', 'stoker-link-tls']) {
    test(`is never in the Secret ${name}, which is Stoker's own`, async () => {
      await cluster.create(kinds.Secret, { ...secret({ entry: base64('s'.repeat(32)) }), metadata: { name } });
      const annotations = { 'stoker.dev/api-key': `${name}/entry` };
      await cluster.patch(kinds.ModelRevision, 'large-1', { metadata: { annotations } });
      await upstreams.reconcile('large-1', signal);
      const found = upstreams.stateOf(revision(`${name}/entry`));
      assert.equal(found.type === 'refused' && found.reason, 'SecretForbidden');
    });
  }

  test('that the controller may not read is refused, with the value of the chart that lets it', async () => {
    cluster.read = async () => ({
      ok: false,
      error: { reason: 'Forbidden', message: 'secrets "house-api" is forbidden' },
    });
    await upstreams.reconcile('large-1', signal);
    const found = state();
    assert.equal(
      found.type === 'refused' && found.message,
      'The controller may not read the Secret house-api. Name it in rbac.readSecrets of the chart, or change spec.version.remote.apiKeySecretRef.',
    );
  });

  test('stays while its Secret cannot be read for a moment, and is told anew only when it changed', async () => {
    await cluster.create(kinds.Secret, secret({ token: base64(KEY) }));
    await upstreams.reconcile('large-1', signal);
    await upstreams.reconcile('large-1', signal);
    assert.deepEqual(changed, ['large']);
    const read = cluster.read;
    cluster.read = async () => ({ ok: false, error: { reason: 'Unavailable', message: 'The server is away.' } });
    assert.equal((await upstreams.reconcile('large-1', signal)).type, 'failed');
    assert.deepEqual(state(), { type: 'ready', key: KEY });
    cluster.read = read;
    await cluster.patch(kinds.Secret, 'house-api', { data: { token: base64('sk-next') } });
    await upstreams.reconcile('large-1', signal);
    assert.deepEqual(state(), { type: 'ready', key: 'sk-next' });
    assert.deepEqual(changed, ['large', 'large']);
  });

  test('of another place is not the one that is kept', async () => {
    await cluster.create(kinds.Secret, secret({ token: base64(KEY) }));
    await upstreams.reconcile('large-1', signal);
    assert.deepEqual(upstreams.stateOf(revision('other/token')), { type: 'reading' });
    upstreams.forgetExcept(new Set());
    assert.deepEqual(state(), { type: 'reading' });
  });
});
