// Simulated models through the whole product: real processes, published times a hundred times as fast.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { request } from 'undici';
import { type PersonApi, personApi, type SeenObject, type WrittenObject } from '../support/person-api.ts';
import { type RunningStoker, startStoker } from '../support/running-stoker.ts';

const apiVersion = 'stoker.dev/v1alpha1';

const pool: WrittenObject & { spec: object } = {
  apiVersion,
  kind: 'Pool',
  metadata: { name: 'sim' },
  spec: { accelerator: { resourceName: 'stoker.dev/sim-gpu', className: 'sim' }, slots: { min: 1, max: 1 } },
};

function simulatedModel(name: string, simulation: object): WrittenObject & { spec: object } {
  return {
    apiVersion,
    kind: 'Model',
    metadata: { name },
    spec: {
      servedName: name,
      version: { weights: { simulated: { profile: 'Size7B', seed: 7 } }, engine: { name: 'Sim' } },
      pools: ['sim'],
      scaling: { sleepAfterSeconds: 1 },
      simulation: { speedPercent: 10_000, ...simulation },
    },
  };
}

describe('simulated models', { timeout: 120_000 }, () => {
  let stoker: RunningStoker;
  let api: PersonApi;
  before(async () => {
    stoker = await startStoker();
    api = personApi(stoker.kubeconfig);
    await api.create(pool);
  });
  after(async () => {
    await api.close();
    assert.deepEqual(await stoker.stop(), []);
  });

  const ask = async (model: string) => {
    const response = await request(`${stoker.addresses.openai}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model, max_tokens: 12, temperature: 0, messages: [{ role: 'user', content: 'Well?' }] }),
    });
    const body = (await response.body.json()) as {
      choices?: { message: { content: string } }[];
      error?: { code: string; message: string };
      system_fingerprint?: string;
    };
    return { status: response.statusCode, body, text: body.choices?.[0]?.message.content };
  };
  const rungIs = (name: string, rung: string) =>
    api.until(async () => (await api.get('Model', name)).status?.rung === rung, `${name} to be ${rung}`);

  /** Routers have been told of it. */
  const isReady = (name: string) =>
    api.until(async () => {
      const { status } = await api.get('Model', name);
      return status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
    }, `${name} to be Ready`);

  test('one wakes on demand, sleeps when idle, and answers the same after its wake', async () => {
    await api.create(simulatedModel('steady', {}));
    await isReady('steady');
    const first = await ask('steady');
    assert.equal(first.status, 200, JSON.stringify(first.body));
    const { status } = await api.get('Model', 'steady');
    assert.equal(first.body.system_fingerprint, status?.stableRevision);
    await rungIs('steady', 'Asleep');
    const second = await ask('steady');
    assert.equal(second.text, first.text);
  });

  test('a wake that corrupts the output is caught by the probe: its caller gets the right answer of a new start', async () => {
    await api.create(simulatedModel('liar', { faults: [{ kind: 'CorruptWake', at: [1] }] }));
    await isReady('liar');
    const right = await ask('liar');
    assert.equal(right.status, 200, JSON.stringify(right.body));
    await rungIs('liar', 'Asleep');
    const again = await ask('liar');
    assert.equal(again.status, 200, JSON.stringify(again.body));
    assert.equal(again.text, right.text);
    const seen = () => api.list<{ reason: string; message: string; involvedObject: { name: string } }>('Event');
    await api.until(async () => (await seen()).some(({ reason }) => reason === 'ProbeMismatch'), 'the event');
    const told = (await seen()).filter(({ reason }) => reason === 'ProbeMismatch');
    const revision = (await api.get('Model', 'liar')).status?.stableRevision ?? '';
    assert.ok(told.some(({ involvedObject }) => involvedObject.name === revision));
  });

  test('wakes that always corrupt the output are told to people, and never to a caller', async () => {
    const faults = [{ kind: 'CorruptWake', chanceBasisPoints: 10_000 }];
    await api.create(simulatedModel('hopeless', { faults }));
    await isReady('hopeless');
    const right = await ask('hopeless');
    assert.equal(right.status, 200, JSON.stringify(right.body));
    for (let times = 0; times < 2; times += 1) {
      await rungIs('hopeless', 'Asleep');
      const said = await ask('hopeless');
      if (said.status === 200) assert.equal(said.text, right.text);
      else assert.equal(said.body.error?.code, 'model_failed', JSON.stringify(said.body));
    }
  });

  test('other faults reach instances with their next start, and make no revision', async () => {
    const before = (await api.get('Model', 'steady')).status?.stableRevision;
    await api.patch('Model', 'steady', { spec: { simulation: { faults: [{ kind: 'Cut', at: [1] }] } } });
    let after: SeenObject = await api.get('Model', 'steady');
    const isSeen = async () => {
      after = await api.get('Model', 'steady');
      return after.status?.observedGeneration === after.metadata.generation;
    };
    await api.until(isSeen, 'the controller to have seen the change');
    assert.equal(after.status?.stableRevision, before);
    assert.equal(after.status?.conditions?.find(({ type }) => type === 'Updated')?.reason, 'UpToDate');
    const revisions = await api.list('ModelRevision');
    assert.equal(revisions.filter(({ metadata }) => metadata.name.startsWith('steady-')).length, 1);
  });
});
