// Engines that are not ours through the whole product on one machine: real processes of Stoker, and fakes of vLLM, SGLang and
// llama-server where their programs would be.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { request } from 'undici';
import { type InstalledFakes, installFakes } from '../support/fake-engines/installed.ts';
import { type PersonApi, personApi, type WrittenObject } from '../support/person-api.ts';
import { type RunningStoker, root, startStoker } from '../support/running-stoker.ts';

const apiVersion = 'stoker.dev/v1alpha1';

function modelOf(name: string, version: object, spec: object = {}): WrittenObject & { spec: object } {
  return {
    apiVersion,
    kind: 'Model',
    metadata: { name },
    spec: { servedName: name, version, scaling: { sleepAfterSeconds: 1 }, ...spec },
  };
}

const ask = async (stoker: RunningStoker, model: string) => {
  const response = await request(`${stoker.addresses.openai}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, max_tokens: 6, temperature: 0, messages: [{ role: 'user', content: 'Well?' }] }),
  });
  const body = (await response.body.json()) as {
    choices?: { message: { content: string } }[];
    system_fingerprint?: string;
  };
  return { status: response.statusCode, body, text: body.choices?.[0]?.message.content };
};

const conditionOf = async (api: PersonApi, name: string, type: string) =>
  (await api.get('Model', name)).status?.conditions?.find((condition) => condition.type === type);

describe('engines that are not ours', { timeout: 120_000 }, () => {
  let fakes: InstalledFakes;
  let stoker: RunningStoker;
  let api: PersonApi;
  before(async () => {
    fakes = installFakes();
    const PATH = `${fakes.environment.PATH}:${process.env.PATH ?? ''}`;
    stoker = await startStoker({ args: ['--allow-commands'], environment: { PATH } });
    api = personApi(stoker.kubeconfig);
  });
  after(async () => {
    await api.close();
    const left = await stoker.stop();
    fakes.remove();
    assert.deepEqual(left, []);
  });

  const rungIs = (name: string, rung: string) =>
    api.until(async () => (await api.get('Model', name)).status?.rung === rung, `${name} to be ${rung}`);
  const isReady = (name: string) =>
    api.until(async () => (await conditionOf(api, name, 'Ready'))?.status === 'True', `${name} to be ready`);
  const folder = () => ({ path: fakes.folder.weightsPath });

  test('vLLM starts for the first request, sleeps when idle, and wakes for the next one', async () => {
    await api.create(modelOf('big', { weights: { folder: folder() }, engine: { name: 'Vllm', args: ['--seed=1'] } }));
    await isReady('big');
    const first = await ask(stoker, 'big');
    assert.equal(first.status, 200, JSON.stringify(first.body));
    const { status } = await api.get('Model', 'big');
    assert.equal(first.body.system_fingerprint, status?.stableRevision);
    await rungIs('big', 'Asleep');
    const second = await ask(stoker, 'big');
    assert.equal(second.status, 200, JSON.stringify(second.body));
    assert.equal(second.text, first.text);
    const revision = await api.get('ModelRevision', status?.stableRevision ?? '');
    const verified = revision.status?.conditions?.find(({ type }) => type === 'PinVerified');
    assert.equal(verified?.status, 'True', verified?.message);
  });

  test('llama-server serves a GGUF file, and is stopped instead of put to sleep', async () => {
    const file = { path: join(root, 'models/stoker-demo-1m.gguf') };
    const version = { weights: { file }, engine: { name: 'LlamaServer' }, contextLength: 512 };
    await api.create(modelOf('small', version, { scaling: { sleepAfterSeconds: 600 } }));
    await isReady('small');
    const { status, body } = await ask(stoker, 'small');
    assert.equal(status, 200, JSON.stringify(body));
    await rungIs('small', 'Awake');
    await api.patch('Model', 'small', { spec: { scaling: { sleepAfterSeconds: 1 } } });
    await rungIs('small', 'Staged');
  });

  test('an image is refused with what to do, because one machine runs none', async () => {
    const image = `registry.example.com/vllm@sha256:${'a'.repeat(64)}`;
    await api.create(modelOf('imaged', { weights: { folder: folder() }, engine: { name: 'Vllm', image } }));
    await api.until(async () => (await conditionOf(api, 'imaged', 'Pinned'))?.reason === 'ImageNotUsable', 'a refusal');
    assert.match((await conditionOf(api, 'imaged', 'Pinned'))?.message ?? '', /Leave spec.version.engine.image out/);
  });
});

test('without --allow-commands an installed engine is refused with what to do', { timeout: 60_000 }, async () => {
  const fakes = installFakes();
  const stoker = await startStoker();
  const api = personApi(stoker.kubeconfig);
  try {
    const version = { weights: { folder: { path: fakes.folder.weightsPath } }, engine: { name: 'Vllm' } };
    await api.create(modelOf('big', version));
    await api.until(async () => (await conditionOf(api, 'big', 'Pinned'))?.reason === 'EngineNotAllowed', 'a refusal');
    assert.match((await conditionOf(api, 'big', 'Pinned'))?.message ?? '', /--allow-commands/);
  } finally {
    await api.close();
    assert.deepEqual(await stoker.stop(), []);
    fakes.remove();
  }
});
