// Which kubeconfig a command uses, and the sentence for everything that goes wrong on the way to the API.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import { connectApi } from '../../../src/cli/connect.ts';
import type { CommandIo } from '../../../src/cli/io.ts';
import { loadServerIdentity } from '../../../src/local/api/authority.ts';
import { type FakeApiServer, failure, list, startFakeApiServer } from '../../support/fake-api-server.ts';
import { terminal } from '../../support/terminal.ts';

const folder = mkdtempSync(join(tmpdir(), 'stoker-connect-'));
let server: FakeApiServer;

before(async () => {
  server = await startFakeApiServer();
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

function kubeconfig(name: string, facts: { url: string; namespace?: string; caPem?: string }): string {
  const path = join(folder, name);
  const authority =
    facts.caPem === undefined ? {} : { 'certificate-authority-data': Buffer.from(facts.caPem).toString('base64') };
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'c',
    clusters: [{ name: 'c', cluster: { server: facts.url, ...authority } }],
    users: [{ name: 'u', user: { token: 'hunter2' } }],
    contexts: [
      {
        name: 'c',
        context: { cluster: 'c', user: 'u', ...(facts.namespace === undefined ? {} : { namespace: facts.namespace }) },
      },
    ],
  };
  writeFileSync(path, stringify(config));
  return path;
}

const read = { method: 'GET', path: '/apis/stoker.dev/v1alpha1/namespaces/team/models' } as const;

async function sendOnce(io: CommandIo, path?: string) {
  const api = await connectApi(io, path);
  try {
    return { namespace: api.namespace, answer: await api.send(read) };
  } finally {
    await api.close();
  }
}

test('the flag goes before KUBECONFIG, and KUBECONFIG before the data folder', async () => {
  const dataDir = join(folder, 'data');
  mkdirSync(dataDir);
  const { url } = { url: server.connection.server };
  kubeconfig('data/kubeconfig', { url, namespace: 'of-the-folder' });
  const variable = kubeconfig('variable', { url, namespace: 'of-the-variable' });
  const flag = kubeconfig('flag', { url, namespace: 'of-the-flag' });
  const environment = { STOKER_DATA_DIR: dataDir };
  const both = { ...environment, KUBECONFIG: `:${join(folder, 'absent')}:${variable}` };
  assert.equal((await sendOnce(terminal({ environment }).io)).namespace, 'of-the-folder');
  assert.equal((await sendOnce(terminal({ environment: both }).io)).namespace, 'of-the-variable');
  assert.equal((await sendOnce(terminal({ environment: both }).io, flag)).namespace, 'of-the-flag');
});

test('a context without a namespace means default, and the token is sent', async () => {
  const path = kubeconfig('plain', { url: server.connection.server });
  assert.equal((await sendOnce(terminal().io, path)).namespace, 'default');
  assert.equal(server.calls.at(-1)?.headers.authorization, 'Bearer hunter2');
});

test('several files in KUBECONFIG are refused instead of guessed', async () => {
  const files = ['one', 'two'].map((name) => kubeconfig(name, { url: server.connection.server }));
  const { io } = terminal({ environment: { KUBECONFIG: files.join(':') } });
  await assert.rejects(connectApi(io), /KUBECONFIG names several files .*one, .*two.*--kubeconfig/);
});

test('a folder without a Stoker says how to start one', async () => {
  const { io } = terminal({ environment: { STOKER_DATA_DIR: join(folder, 'empty') } });
  await assert.rejects(
    connectApi(io),
    /No Stoker was found here: there is no .*empty\/kubeconfig\. Start one with `npm start`/,
  );
});

test('a file that is absent, or no kubeconfig, is named', async () => {
  await assert.rejects(connectApi(terminal().io, join(folder, 'absent')), /absent cannot be used: ENOENT/);
  const path = join(folder, 'wrong');
  writeFileSync(path, 'kind: Model');
  await assert.rejects(connectApi(terminal().io, path), /wrong cannot be used: clusters/);
});

test('a server that is not there is named with the file its address came from', async () => {
  const gone = await startFakeApiServer();
  const path = kubeconfig('gone', { url: gone.connection.server });
  await gone.stop();
  await assert.rejects(
    sendOnce(terminal().io, path),
    /127\.0\.0\.1:\d+ does not answer .*ECONNREFUSED.*Is Stoker running\? .*gone\./,
  );
});

test('refused credentials are said without showing them', async () => {
  server.onCall = () => failure(401, 'Unauthorized', 'Unauthorized');
  const path = kubeconfig('refused', { url: server.connection.server });
  await assert.rejects(sendOnce(terminal().io, path), (error: Error) => {
    assert.match(error.message, /does not accept the credentials in .*refused/);
    return !error.message.includes('hunter2');
  });
});

test('a cluster without the kinds says so; an object that is not there is an answer', async () => {
  const path = kubeconfig('bare', { url: server.connection.server });
  server.onCall = () => failure(404, 'NotFound', 'the server could not find the requested resource');
  await assert.rejects(sendOnce(terminal().io, path), /does not know this kind\. Stoker's kinds are not installed/);
  const answer = failure(404, 'NotFound', 'models "x" not found');
  server.onCall = () => ({ ...answer, body: { ...answer.body, details: { name: 'x' } } });
  assert.equal((await sendOnce(terminal().io, path)).answer.status, 404);
});

test('warnings of the server are shown', async () => {
  server.onCall = () => ({ headers: { warning: '299 - "v1alpha1 is old"' }, body: list([], '1') });
  const { io, printed } = terminal();
  await sendOnce(io, kubeconfig('warned', { url: server.connection.server }));
  assert.equal(printed.err, 'Warning: v1alpha1 is old\n');
});

test('an interrupt ends a call that hangs', async () => {
  server.onCall = () => 'hang';
  const interrupted = new AbortController();
  const asked = sendOnce(
    terminal({ signal: interrupted.signal }).io,
    kubeconfig('hanging', { url: server.connection.server }),
  );
  interrupted.abort(new Error('interrupted'));
  await assert.rejects(asked, /given up/);
});

test('the authority of the kubeconfig is trusted, and no other', async () => {
  const own = join(folder, 'own');
  const other = join(folder, 'other');
  for (const path of [own, other]) mkdirSync(path);
  const identity = loadServerIdentity(own, ['127.0.0.1'], Date.now());
  const tls = createServer({ key: identity.keyPem, cert: identity.certificatePem }, (_, response) =>
    response.end('{}'),
  );
  await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve));
  const address = tls.address();
  const url = `https://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  try {
    const trusted = kubeconfig('trusted', { url, caPem: identity.caPem });
    assert.equal((await sendOnce(terminal().io, trusted)).answer.status, 200);
    const { caPem } = loadServerIdentity(other, ['127.0.0.1'], Date.now());
    const foreign = kubeconfig('foreign', { url, caPem });
    await assert.rejects(sendOnce(terminal().io, foreign), /shows a certificate that .*foreign does not trust/);
  } finally {
    tls.close();
  }
});
