// A controller that has won the Lease and cannot lead yet, against the embedded API: it says what it waits for, and goes on once
// somebody has put it right.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { request } from 'undici';
import { kinds } from '../../src/api/kinds.ts';
import type { Settings } from '../../src/api/settings.ts';
import { SEED_SECRET } from '../../src/controller/slot-keys.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import { controllerPart } from '../../src/main/controller.ts';
import { renderKubeconfig } from '../../src/main/kubeconfig.ts';
import { startEmbeddedApi } from '../support/embedded-api.ts';
import { until } from '../support/until.ts';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function explain(adminPort: number): Promise<string> {
  const answer = await request(`http://127.0.0.1:${adminPort}/explain/scale/demo`).catch(() => undefined);
  return (await answer?.body.text()) ?? '';
}

test('a leader whose slot keys are damaged says so, and leads once the Secret is deleted', async (t) => {
  const api = await startEmbeddedApi();
  const client = createKubeClient(api.connectionOf('controller'));
  t.after(async () => {
    await client.close();
    await api.close();
  });
  const damaged = { apiVersion: 'v1', kind: 'Secret', metadata: { name: SEED_SECRET }, data: { seed: 'YQ==' } };
  assert.ok((await client.create(kinds.Secret, damaged, { namespace: 'default' })).ok);
  const kubeconfig = join(api.dataDir, 'controller.kubeconfig');
  const { url, caPem, tokens } = api.server;
  writeFileSync(kubeconfig, renderKubeconfig({ url, caPem, user: 'controller', token: tokens.controller }));
  const adminPort = await freePort();
  const stopping = new AbortController();
  const settings = { kubeconfig, adminPort, linkPort: 0, logLevel: 'silent' } as Partial<Settings> as Settings;
  const starting = controllerPart(settings).start(stopping.signal);
  t.after(async () => {
    stopping.abort(new Error('over'));
    await (await starting.catch(() => undefined))?.stop();
  });
  let said = '';
  await until(async () => {
    said = await explain(adminPort);
    return said.includes('holds the Lease and does not lead yet');
  }, 'it to say that it waits');
  await until(async () => {
    said = await explain(adminPort);
    return said.includes(SEED_SECRET);
  }, 'it to say what it waits for');
  assert.match(said, /has no seed of 32 bytes: delete it, and a new one is made\. It is tried again and again\.$/m);
  await client.remove(kinds.Secret, { namespace: 'default', name: SEED_SECRET });
  const { facts } = await starting;
  assert.equal(facts.adminPort, adminPort);
  const ready = await request(`http://127.0.0.1:${adminPort}/readyz`);
  assert.deepEqual([ready.statusCode, await ready.body.text()], [200, 'ok\n']);
});
