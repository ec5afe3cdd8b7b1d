// Weights that are downloaded, through the front door: a whole Stoker on this machine, a source on loopback, a held request
// that is answered by the built-in engine once the demo model has arrived; and what people read when it cannot arrive.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { stoker } from '../process/fleet.ts';
import { type FakeSource, sha256Of, startFakeSource } from '../support/fake-source.ts';
import { type PersonApi, personApi, type SeenObject } from '../support/person-api.ts';
import { type RunningStoker, root, startStoker } from '../support/running-stoker.ts';

const bytes = readFileSync(join(root, 'models/stoker-demo-1m.gguf'));
const commit = 'd00d'.padEnd(40, '0');

interface SeenRevision extends SeenObject {
  readonly spec: { readonly weights: { readonly sha256: string } };
  readonly status?: SeenObject['status'] & { readonly stagedIn?: readonly string[] };
}

describe('weights that are downloaded', { timeout: 180_000 }, () => {
  let source: FakeSource;
  let running: RunningStoker;
  let api: PersonApi;
  before(async () => {
    source = await startFakeSource();
    source.contents.set('/files/tiny.gguf', bytes);
    running = await startStoker();
    api = personApi(running.kubeconfig);
  });
  after(async () => {
    await api.close();
    assert.deepEqual(await running.stop(), []);
    await source.close();
  });

  const apply = (name: string, weights: object, rest: object = {}) => {
    const spec = { servedName: name, version: { weights, contextLength: 512 }, ...rest };
    const frame = { apiVersion: 'stoker.dev/v1alpha1', kind: 'Model', metadata: { name } };
    return api.create({ ...frame, spec } as typeof frame);
  };
  const ask = async (name: string) => (await stoker(running.dataDir, 'chat', name, 'Hello!')).stdout;
  /** The sentence of a condition, once it has this reason. */
  const sentence = async (name: string, type: string, reason: string): Promise<string> => {
    let message = '';
    await api.until(async () => {
      const found = (await api.get('Model', name)).status?.conditions?.find((one) => one.type === type);
      message = found?.message ?? '';
      return found?.reason === reason;
    }, `${type} with the reason ${reason} of ${name}`);
    return message;
  };
  const folders = () => readdirSync(join(running.dataDir, 'weights')).filter((name) => !name.startsWith('.'));

  test('a request to a model whose files are not here yet is held and answered', async () => {
    const http = { files: [{ url: `${source.url}/files/tiny.gguf`, sha256: sha256Of(bytes) }] };
    await apply('fetched', { http }, { scaling: { sleepAfterSeconds: 1 }, serving: { sleep: 'Never' } });
    assert.match(await ask('fetched'), /^\S/);
    const [set = ''] = folders();
    assert.ok(readFileSync(join(running.dataDir, 'weights', set, 'tiny.gguf')).equals(bytes));
    const name = (await api.get('Model', 'fetched')).status?.stableRevision ?? '';
    const { status, spec } = await api.get<SeenRevision>('ModelRevision', name);
    assert.deepEqual(status?.stagedIn, ['local']);
    assert.equal(spec.weights.sha256, set);
    assert.equal(status.conditions?.find(({ type }) => type === 'Staged')?.status, 'True');
    await api.until(
      async () => (await api.list('Pod')).every((pod) => !pod.metadata.name.includes('-stage-')),
      'no stager',
    );
  });

  test('a bounded cache makes room for what is asked for, and brings back what left', async () => {
    const cacheBytesMax = Math.floor(bytes.length * 1.5);
    await api.patch('Pool', 'default', { spec: { weights: { cacheBytesMax } } });
    const [old = ''] = folders();
    const files = [{ url: `${source.url}/files/tiny.gguf`, path: 'second.gguf', sha256: sha256Of(bytes) }];
    await api.until(async () => (await api.get('Model', 'fetched')).status?.rung === 'Staged', 'a stopped instance');
    await apply('second', { http: { files } }, { scaling: { sleepAfterSeconds: 1 } });
    const says = /no room for the files \(2\.0 MiB of 3\.0 MiB\) while nobody asks/;
    await api.until(async () => says.test(await sentence('second', 'Ready', 'Cold')), 'the volume to be looked at');
    assert.match(await ask('second'), /^\S/);
    const [next = '', ...more] = folders();
    assert.ok(next !== old && more.length === 0, `${old} made room for ${next}`);
    // What sleeps is stopped for it.
    assert.match(await ask('fetched'), /^\S/);
    assert.deepEqual(folders(), [old]);
    await api.remove('Model', 'second');
    await api.patch('Pool', 'default', { spec: { weights: null } });
  });

  test('files that are gone are brought again', async () => {
    await api.until(async () => (await api.get('Model', 'fetched')).status?.rung === 'Staged', 'a stopped instance');
    for (const name of folders()) rmSync(join(running.dataDir, 'weights', name), { recursive: true });
    await api.until(
      () =>
        ask('fetched').then(
          (text) => /^\S/.test(text),
          () => false,
        ),
      'an answer',
    );
    assert.equal(folders().length, 1);
  });

  test('how far a download is can be read while it lasts', async () => {
    source.faults.push({ type: 'silent' });
    const file = { url: `${source.url}/files/tiny.gguf`, path: 'slow.gguf', sizeBytes: bytes.length };
    await apply('slow', { http: { files: [{ ...file, sha256: sha256Of(bytes) }] } });
    await api.until(async () => {
      const found = (await api.get('Model', 'slow')).status?.conditions?.find(({ type }) => type === 'Ready');
      return found?.message === 'Staging 0 % of 2.0 MiB.';
    }, 'the share that has come');
    await api.remove('Model', 'slow');
  });

  test('a gated repository says so until its Secret is right', async () => {
    const siblings = [{ rfilename: 'tiny.gguf', lfs: { sha256: sha256Of(bytes), size: bytes.length } }];
    source.contents.set('/api/models/acme/tiny/revision/main', Buffer.from(JSON.stringify({ sha: commit, siblings })));
    source.contents.set(`/acme/tiny/resolve/${commit}/tiny.gguf`, bytes);
    source.wanted = (header) => header === 'Bearer hf_good';
    await apply('gated', { hub: { repo: 'acme/tiny', endpoint: source.url }, credentialsSecretName: 'hub' });
    assert.match(await sentence('gated', 'Pinned', 'SecretMissing'), /There is no Secret hub. Make it/);
    const dataOf = (token: string) => ({ data: { token: Buffer.from(token).toString('base64') } });
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'hub' } };
    await api.create({ ...secret, ...dataOf('hf_wrong') } as typeof secret);
    const denied = await sentence('gated', 'Pinned', 'AccessDenied');
    assert.match(denied, /refuses access \(401\)/);
    assert.doesNotMatch(denied, /hf_wrong/);
    await api.patch('Secret', 'hub', dataOf('hf_good'));
    await sentence('gated', 'Pinned', 'Pinned');
    assert.match(await ask('gated'), /^\S/);
    source.wanted = undefined;
  });

  test('wrong content is said in the condition, and callers are told at once', async () => {
    const http = { files: [{ url: `${source.url}/files/tiny.gguf`, sha256: 'b'.repeat(64), path: 'wrong.gguf' }] };
    await apply('wrong', { http });
    const message = await sentence('wrong', 'Ready', 'HashMismatch');
    assert.match(message, /wrong.gguf came with sha256 9607.* is pinned.*It is tried again/);
    await assert.rejects(ask('wrong'), /wrong.gguf came with sha256/);
  });
});
