// What the embedded API keeps over restarts, over a kill in the middle of writes, and what it says of a damaged folder.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createKubeClient, type KubeClient } from '../../src/kube/client.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createApiServer } from '../../src/local/api/index.ts';
import { localDefinitions } from '../../src/main/local-definitions.ts';
import { ConfigMap, configMap, type Json, Model, model } from '../contract/session.ts';
import { type EmbeddedApi, startEmbeddedApi, temporaryFolder } from '../support/embedded-api.ts';

let dataDir: string;
const ending: (() => Promise<void>)[] = [];
beforeEach(() => {
  dataDir = temporaryFolder();
});
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
  rmSync(dataDir, { recursive: true, force: true });
});

/** A running server and a client of it; `stop` ends both. */
async function start(): Promise<{ api: EmbeddedApi; client: KubeClient; stop(): Promise<void> }> {
  const api = await startEmbeddedApi({ dataDir });
  const client = createKubeClient(api.connectionOf('controller'));
  let isStopped = false;
  const stop = async () => {
    if (isStopped) return;
    isStopped = true;
    await client.close();
    await api.stop();
  };
  ending.push(stop);
  return { api, client, stop };
}

const place = (name: string) => ({ namespace: 'default', name });
const objects = () => join(dataDir, 'api', 'objects.sqlite');

test('objects, uids and versions survive a restart, and versions go on from there', async () => {
  const first = await start();
  const made = await first.client.create(Model, model('kept'), { namespace: 'default' });
  assert.ok(made.ok);
  await first.client.patch(Model, { ...place('kept'), subresource: 'status' }, { status: { awake: 1 } });
  const deleted = await first.client.create(ConfigMap, configMap('gone', {}), { namespace: 'default' });
  assert.ok(deleted.ok);
  await first.client.remove(ConfigMap, place('gone'));
  const before = await first.client.get(Model, place('kept'));
  assert.ok(before.ok);
  await first.stop();

  const second = await start();
  const after = await second.client.get(Model, place('kept'));
  assert.ok(after.ok);
  assert.deepEqual(after.value, before.value);
  const gone = await second.client.get(ConfigMap, place('gone'));
  assert.ok(!gone.ok);
  const next = await second.client.create(ConfigMap, configMap('next', {}), { namespace: 'default' });
  assert.ok(next.ok);
  // The deletion took a version too; none is ever given twice.
  assert.ok(Number(next.value.metadata.resourceVersion) > Number(deleted.value.metadata.resourceVersion) + 1);
});

test('the authority and the tokens survive a restart, so that kubeconfigs stay good', async () => {
  const first = await start();
  const { caPem, tokens } = first.api.server;
  await first.stop();
  const second = await start();
  assert.equal(second.api.server.caPem, caPem);
  assert.deepEqual(second.api.server.tokens, tokens);
});

test('what came before a restart cannot be watched any more: 410, as an event', async () => {
  const first = await start();
  const made = await first.client.create(ConfigMap, configMap('a', {}), { namespace: 'default' });
  assert.ok(made.ok);
  await first.client.create(ConfigMap, configMap('b', {}), { namespace: 'default' });
  await first.stop();
  const second = await start();
  const path = `/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=${made.value.metadata.resourceVersion}`;
  const { status, body } = await second.client.send({ method: 'GET', path });
  assert.equal(status, 200);
  assert.equal((body as Json).type, 'ERROR');
  assert.equal((body as Json).object.code, 410);
  const continued = Buffer.from(JSON.stringify({ v: 1, after: 'default/a' })).toString('base64url');
  const page = await second.client.send({
    method: 'GET',
    path: `/api/v1/namespaces/default/configmaps?limit=1&continue=${continued}`,
  });
  assert.equal(page.status, 410);
});

interface Child {
  readonly client: KubeClient;
  kill(): Promise<void>;
}

/** The server in a process of its own. */
async function startChild(): Promise<Child> {
  const entry = fileURLToPath(new URL('../support/embedded-api-entry.ts', import.meta.url));
  const child = fork(entry, [dataDir], { stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const told = await new Promise<Json>((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', () => reject(new Error('the server ended at once')));
  });
  const client = createKubeClient({
    server: told.url,
    tls: { ca: told.caPem },
    authorize: async () => ({ authorization: `Bearer ${told.token}` }),
  });
  const kill = async () => {
    child.kill('SIGKILL');
    await exited;
    await client.close();
  };
  ending.push(kill);
  return { client, kill };
}

test('a server killed in the middle of writes has kept everything that it answered', async () => {
  const { client, kill } = await startChild();
  const answered = new Map<string, string>();
  let isKilled = false;
  const write = async (lane: number) => {
    for (let at = 0; !isKilled; at += 1) {
      const name = `lane-${lane}-${at}`;
      const made = await client.create(ConfigMap, configMap(name, { at: String(at) }), { namespace: 'default' });
      if (!made.ok) return;
      answered.set(name, made.value.metadata.resourceVersion ?? '');
      if (answered.size === 200) {
        isKilled = true;
        await kill();
      }
    }
  };
  await Promise.all([0, 1, 2, 3].map(write));
  assert.ok(answered.size >= 200);
  const second = await start();
  const list = await second.client.list(ConfigMap, { namespace: 'default' });
  assert.ok(list.ok);
  const versions = new Map(list.value.items.map(({ metadata }) => [metadata.name, metadata.resourceVersion]));
  for (const [name, version] of answered) assert.equal(versions.get(name), version, name);
  assert.ok(Number(list.value.resourceVersion) >= Math.max(...[...answered.values()].map(Number)));
});

test('a port that is taken is the system’s error, and the folder is free for the next try', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as AddressInfo;
  const options = { dataDir, port, clock: systemClock, definitions: localDefinitions() };
  await assert.rejects(createApiServer(options), { code: 'EADDRINUSE', port });
  taken.close();
  const { client } = await start();
  assert.ok((await client.list(Model, { namespace: 'default' })).ok);
});

test('a second server on one folder says that the first has it', async () => {
  await startChild();
  await assert.rejects(startEmbeddedApi({ dataDir }), /Another process uses .*objects\.sqlite/);
});

test('a file that is no database is a sentence with its path, and the file stays', async () => {
  const { stop } = await start();
  await stop();
  for (const suffix of ['-wal', '-shm']) rmSync(objects() + suffix, { force: true });
  writeFileSync(
    objects(),
    'this is no database, and it is longer than a header of one hundred bytes, as it should be here.'.repeat(3),
  );
  const said = await startEmbeddedApi({ dataDir }).catch((error: unknown) => error);
  assert.ok(said instanceof Error);
  assert.match(said.message, /^The objects in .*objects\.sqlite cannot be read: .*Put back a copy/);
  assert.match(readFileSync(objects(), 'utf8'), /^this is no database/);
});

test('a database that is damaged inside is a sentence, too', async () => {
  const { client, stop } = await start();
  for (let at = 0; at < 30; at += 1)
    await client.create(ConfigMap, configMap(`c-${at}`, { a: 'x'.repeat(2000) }), { namespace: 'default' });
  await stop();
  const bytes = readFileSync(objects());
  // The first page has the header and the tables' names; the objects come after it.
  bytes.fill(0x5a, 8192, bytes.length - 4096);
  writeFileSync(objects(), bytes);
  await assert.rejects(startEmbeddedApi({ dataDir }), /^Error: The objects in .*objects\.sqlite cannot be read: /);
});

test('an object that is no JSON any more, a newer layout and broken tokens are named', async () => {
  const { client, stop } = await start();
  await client.create(ConfigMap, configMap('broken', {}), { namespace: 'default' });
  await stop();
  const database = new DatabaseSync(objects());
  database.exec("UPDATE objects SET json = '{' WHERE name = 'broken'");
  database.close();
  await assert.rejects(startEmbeddedApi({ dataDir }), /The stored object configmaps default\/broken is damaged/);
  const newer = new DatabaseSync(objects());
  newer.exec("DELETE FROM objects WHERE name = 'broken'; PRAGMA user_version = 99;");
  newer.close();
  await assert.rejects(startEmbeddedApi({ dataDir }), /written by a newer Stoker \(layout 99/);
  const older = new DatabaseSync(objects());
  older.exec('PRAGMA user_version = 1;');
  older.close();
  writeFileSync(join(dataDir, 'api', 'tokens.json'), '{"person": "se');
  const said = await startEmbeddedApi({ dataDir }).catch(String);
  assert.match(String(said), /The tokens in .*tokens\.json cannot be read\. Remove the file/);
  assert.doesNotMatch(String(said), /se$/);
});

test('a broken server key is replaced by a new one under the same authority', async () => {
  const first = await start();
  const { caPem } = first.api.server;
  await first.stop();
  writeFileSync(join(dataDir, 'api', 'server.key'), 'no key');
  const second = await start();
  assert.equal(second.api.server.caPem, caPem);
  assert.ok((await second.client.list(Model, { namespace: 'default' })).ok);
});
