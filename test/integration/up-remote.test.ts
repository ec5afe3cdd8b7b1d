// A model that somebody else serves, through the whole product: the Secret, the conditions, the answers.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { request } from 'undici';
import {
  answerJson,
  endUpstreamStream,
  type FakeUpstream,
  openUpstreamStream,
  startFakeUpstream,
} from '../support/fake-upstream.ts';
import { type PersonApi, personApi } from '../support/person-api.ts';
import { type RunningStoker, startStoker } from '../support/running-stoker.ts';

const KEY = 'sk-house-secret-0123456789';

describe('a model that somebody else serves', { timeout: 120_000 }, () => {
  let stoker: RunningStoker;
  let upstream: FakeUpstream;
  let api: PersonApi;
  before(async () => {
    [stoker, upstream] = await Promise.all([startStoker(), startFakeUpstream()]);
    api = personApi(stoker.kubeconfig);
    const spec = {
      servedName: 'house/large',
      version: {
        remote: {
          baseUrl: upstream.baseUrl,
          model: 'their-model',
          apiKeySecretRef: { name: 'house-api', key: 'token' },
        },
        engine: { name: 'Remote' },
      },
    };
    await api.create({ apiVersion: 'stoker.dev/v1alpha1', kind: 'Model', metadata: { name: 'large' }, ...{ spec } });
  });
  after(async () => {
    await api.close();
    assert.deepEqual(await stoker.stop(), []);
    await upstream.close();
  });

  const ready = async () => (await api.get('Model', 'large')).status?.conditions?.find(({ type }) => type === 'Ready');
  const isReadyWith = (reason: string) => api.until(async () => (await ready())?.reason === reason, reason);
  const post = async (extra: object = {}) => {
    const response = await request(`${stoker.addresses.openai}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'house/large', messages: [{ role: 'user', content: 'Hello?' }], ...extra }),
    });
    return { status: response.statusCode, text: await response.body.text() };
  };

  test('says which Secret is missing, to people and to callers', async () => {
    await isReadyWith('SecretMissing');
    assert.match((await ready())?.message ?? '', /There is no Secret house-api\. Make it/);
    const { status, text } = await post();
    assert.equal(status, 503);
    assert.match(text, /There is no Secret house-api/);
    const events = await api.list<{ reason: string }>('Event');
    assert.ok(events.some(({ reason }) => reason === 'SecretMissing'));
  });

  test('is served as soon as its key is there', async () => {
    const data = { token: Buffer.from(`${KEY}\n`).toString('base64') };
    await api.create({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'house-api' }, ...{ data } });
    // The Secret is not watched; a change of the Model has it read again at once.
    await api.patch('Model', 'large', { spec: { serving: { concurrency: 4 } } });
    await isReadyWith('Upstream');
    upstream.onCall = answerJson;
    const { status, text } = await post();
    assert.equal(status, 200, text);
    const { metadata, status: seen } = await api.get('Model', 'large');
    assert.equal(metadata.name, 'large');
    assert.equal(seen?.rung, 'Awake');
    const answer = JSON.parse(text);
    assert.deepEqual([answer.model, answer.system_fingerprint], ['house/large', seen?.stableRevision]);
    assert.equal(upstream.calls[0]?.headers.authorization, `Bearer ${KEY}`);
    assert.equal(JSON.parse(upstream.calls[0]?.body ?? '').model, 'their-model');
  });

  test('streams, and needs no slot', async () => {
    upstream.onCall = (call) => {
      openUpstreamStream(call, 'Hel', 'lo.');
      endUpstreamStream(call);
    };
    const { text } = await post({ stream: true });
    assert.match(text, /data: \[DONE\]\n\n$/);
    const pods = await api.list('Pod');
    assert.ok(pods.every(({ metadata }) => metadata.name.startsWith('default-')));
  });

  test('another name there is a new revision, and answers at once', async () => {
    const before = (await api.get('Model', 'large')).status?.stableRevision;
    await api.patch('Model', 'large', { spec: { version: { remote: { model: 'their-next-model' } } } });
    await api.until(async () => (await api.get('Model', 'large')).status?.stableRevision !== before, 'a new revision');
    upstream.onCall = answerJson;
    // The router hears of it a moment after the status says so.
    await api.until(async () => {
      await post();
      return JSON.parse(upstream.calls.at(-1)?.body ?? '').model === 'their-next-model';
    }, 'the new name');
  });

  test('the key is in no log and in no object of ours', async () => {
    for (const file of readdirSync(join(stoker.dataDir, 'logs'))) {
      assert.ok(!readFileSync(join(stoker.dataDir, 'logs', file), 'utf8').includes(KEY), file);
    }
    for (const kind of ['Model', 'ModelRevision', 'Event']) {
      assert.ok(!JSON.stringify(await api.list(kind)).includes(KEY), kind);
    }
  });

  test('is deleted like every other', async () => {
    await api.remove('Model', 'large');
    await api.until(
      async () => (await api.list('Model')).every(({ metadata }) => metadata.name !== 'large'),
      'its end',
    );
    await api.until(async () => (await post()).status === 404, 'nobody to answer');
  });
});
