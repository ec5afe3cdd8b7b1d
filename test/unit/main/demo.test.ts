// The demo comes into a new data folder once, and what a person did since then stays.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import { readLastApplied } from '../../../src/cli/three-way.ts';
import { type DataFolder, openDataFolder } from '../../../src/main/data-folder.ts';
import { applyDemoOnce } from '../../../src/main/demo.ts';
import { renderKubeconfig } from '../../../src/main/kubeconfig.ts';
import { type FakeApiServer, failure, startFakeApiServer } from '../../support/fake-api-server.ts';
import { type FakeObjects, fakeObjects } from '../../support/fake-objects.ts';

const base = mkdtempSync(join(tmpdir(), 'stoker-demo-test-'));
const { signal } = new AbortController();
let server: FakeApiServer;
let store: FakeObjects;
let folder: DataFolder;

beforeEach(async () => {
  server = await startFakeApiServer();
  store = fakeObjects();
  server.onCall = store.answer;
  folder = openDataFolder(mkdtempSync(join(base, 'data-')));
  const { server: url } = server.connection;
  writeFileSync(folder.kubeconfigFile, renderKubeconfig({ url, caPem: 'none', user: 'person', token: 't' }));
});
afterEach(() => server.stop());
after(() => rmSync(base, { recursive: true, force: true }));

interface DemoModel {
  readonly spec: { readonly version: { readonly weights: { readonly file: { readonly path: string } } } };
}

test('a new folder gets the pool and the model, with weights that are found from any folder', async () => {
  assert.deepEqual(await applyDemoOnce(folder, signal), [{ name: 'demo', servedName: 'demo', rung: 'Absent' }]);
  assert.deepEqual([...store.objects.keys()].sort(), ['models/demo', 'pools/default']);
  const model = store.objects.get('models/demo');
  const { path } = (model as unknown as DemoModel).spec.version.weights.file;
  assert.ok(isAbsolute(path) && existsSync(path), path);
  assert.deepEqual(readLastApplied(model ?? {}).spec, model?.spec, 'kubectl apply goes on from what was applied');
});

test('a demo that was deleted does not come back', async () => {
  await applyDemoOnce(folder, signal);
  store.objects.delete('models/demo');
  assert.deepEqual(await applyDemoOnce(folder, signal), []);
  assert.deepEqual([...store.objects.keys()], ['pools/default']);
});

test('what is there already is left alone, and the models of the person are listed', async () => {
  const own = { metadata: { name: 'own', resourceVersion: '1' }, spec: { servedName: 'team/own' } };
  const pinned = {
    metadata: { name: 'demo', resourceVersion: '2' },
    spec: { servedName: 'mine' },
    status: { stableRevision: 'demo-1' },
  };
  store.objects.set('models/own', own);
  store.objects.set('models/demo', pinned);
  assert.deepEqual(await applyDemoOnce(folder, signal), [
    { name: 'demo', servedName: 'mine', rung: 'Staged' },
    { name: 'own', servedName: 'team/own', rung: 'Absent' },
  ]);
  assert.equal(store.objects.get('models/demo'), pinned);
  assert.ok(store.objects.has('pools/default'));
});

test('a start that failed halfway is made good by the next one', async () => {
  server.onCall = (call) =>
    call.method === 'POST' && call.path.endsWith('/pools')
      ? failure(500, 'InternalError', 'the disk is full')
      : store.answer(call);
  await assert.rejects(applyDemoOnce(folder, signal), /the disk is full/);
  server.onCall = store.answer;
  await applyDemoOnce(folder, signal);
  assert.deepEqual([...store.objects.keys()].sort(), ['models/demo', 'pools/default']);
});
