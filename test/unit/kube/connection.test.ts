import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { stringify } from 'yaml';
import { loadConnection } from '../../../src/kube/connection.ts';
import { createManualClock } from '../../../src/lib/clock.ts';

let foreignLoads = 0;
registerHooks({
  resolve(specifier, context, next) {
    if (specifier === '@kubernetes/client-node') foreignLoads += 1;
    return next(specifier, context);
  },
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stoker-connection-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const base64 = (text: string) => Buffer.from(text).toString('base64');

function writeKubeconfig(user: object, cluster: object = {}, top: object = {}): string {
  const path = join(folder, 'config');
  const content = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    clusters: [
      { name: 'elsewhere', cluster: { server: 'https://wrong.example' } },
      { name: 'c', cluster: { server: 'https://api.example:6443', ...cluster } },
    ],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'here', context: { cluster: 'c', user: 'u', namespace: 'prod' } }],
    ...top,
  };
  writeFileSync(path, stringify(content));
  return path;
}

test('a kubeconfig with a token and an inlined authority is read without the foreign client', async () => {
  const kubeconfigPath = writeKubeconfig(
    { token: 'abc' },
    { 'certificate-authority-data': base64('PEM'), 'tls-server-name': 'inner' },
  );
  const connection = await loadConnection({ kubeconfigPath });
  assert.equal(connection.server, 'https://api.example:6443');
  assert.equal(connection.namespace, 'prod');
  assert.deepEqual(connection.tls, { ca: 'PEM', servername: 'inner' });
  assert.deepEqual(await connection.authorize(), { authorization: 'Bearer abc' });
  assert.equal(foreignLoads, 0);
});

test('client certificates and authorities in files are found beside the kubeconfig', async () => {
  for (const name of ['ca.pem', 'cert.pem', 'key.pem']) writeFileSync(join(folder, name), name);
  const kubeconfigPath = writeKubeconfig(
    { 'client-certificate': 'cert.pem', 'client-key': 'key.pem' },
    { 'certificate-authority': 'ca.pem', 'insecure-skip-tls-verify': true },
  );
  const connection = await loadConnection({ kubeconfigPath });
  assert.deepEqual(connection.tls, { ca: 'ca.pem', cert: 'cert.pem', key: 'key.pem', rejectUnauthorized: false });
  assert.deepEqual(await connection.authorize(), {});
});

test('a name and a password become basic credentials', async () => {
  const connection = await loadConnection({ kubeconfigPath: writeKubeconfig({ username: 'me', password: 'pw' }) });
  assert.deepEqual(await connection.authorize(), { authorization: `Basic ${base64('me:pw')}` });
});

test('a token file is read again after 60 s, and the last token is kept while it cannot be', async () => {
  const clock = createManualClock();
  const tokenFile = join(folder, 'token');
  writeFileSync(tokenFile, 'one\n');
  const connection = await loadConnection({ kubeconfigPath: writeKubeconfig({ tokenFile: 'token' }), clock });
  const token = async () => (await connection.authorize()).authorization;
  assert.equal(await token(), 'Bearer one');
  writeFileSync(tokenFile, 'two\n');
  clock.advance(59_999);
  assert.equal(await token(), 'Bearer one');
  clock.advance(1);
  assert.equal(await token(), 'Bearer two');
  rmSync(tokenFile);
  clock.advance(60_000);
  assert.equal(await token(), 'Bearer two');
});

test('a Pod finds its server, authority, namespace and token in its service account', async () => {
  const account = join(folder, 'serviceaccount');
  mkdirSync(account);
  for (const [name, text] of [
    ['token', 'pod-token\n'],
    ['ca.crt', 'PEM'],
    ['namespace', 'stoker\n'],
  ] as const)
    writeFileSync(join(account, name), text);
  const connection = await loadConnection({ inCluster: { folder: account } });
  assert.equal(connection.server, 'https://kubernetes.default.svc:443');
  assert.equal(connection.namespace, 'stoker');
  assert.deepEqual(connection.tls, { ca: 'PEM' });
  assert.deepEqual(await connection.authorize(), { authorization: 'Bearer pod-token' });
  const sixth = await loadConnection({ inCluster: { folder: account, host: 'fd00::1', port: '6443' } });
  assert.equal(sixth.server, 'https://[fd00::1]:6443');
  await assert.rejects(
    loadConnection({ inCluster: { folder: join(folder, 'nowhere') } }),
    /not a Pod with a service account/,
  );
});

test('what cannot be honoured is refused with a sentence that names the file and no secret', async () => {
  const rows: [string, RegExp][] = [
    [writeKubeconfigText('not: [a'), /cannot be used/],
    [writeKubeconfigText('a: 1'), /cannot be used: clusters/],
  ];
  for (const [path, sentence] of rows) await assert.rejects(loadConnection({ kubeconfigPath: path }), sentence);
  await assert.rejects(
    loadConnection({ kubeconfigPath: join(folder, 'nowhere') }),
    /The kubeconfig .*nowhere cannot be used: ENOENT/,
  );
  await assert.rejects(
    loadConnection({ kubeconfigPath: writeKubeconfig({}, { 'proxy-url': 'http://p' }) }),
    /proxy-url is not supported/,
  );
  await assert.rejects(
    loadConnection({ kubeconfigPath: writeKubeconfig({ token: 'hunter2', as: 'root' }) }),
    (error: Error) => {
      return /impersonation/.test(error.message) && !error.message.includes('hunter2');
    },
  );
  await assert.rejects(
    loadConnection({ kubeconfigPath: writeKubeconfig({}, {}, { 'current-context': 'gone' }) }),
    /current-context "gone"/,
  );
});

function writeKubeconfigText(text: string): string {
  const path = join(folder, `config-${text.length}`);
  writeFileSync(path, text);
  return path;
}

test('a credential plugin is run by the foreign client, and its token is asked for again after 10 s', async () => {
  const clock = createManualClock();
  const counter = join(folder, 'count');
  writeFileSync(counter, '');
  const program =
    `const fs=require('fs');fs.appendFileSync(process.env.COUNTER,'x');` +
    `console.log(JSON.stringify({apiVersion:'client.authentication.k8s.io/v1',kind:'ExecCredential',` +
    `status:{token:'t'+fs.readFileSync(process.env.COUNTER,'utf8').length,expirationTimestamp:'2020-01-01T00:00:00Z'}}))`;
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: process.execPath,
    args: ['-e', program],
    env: [{ name: 'COUNTER', value: counter }],
    interactiveMode: 'Never',
  };
  const kubeconfigPath = writeKubeconfig({ exec }, { 'certificate-authority-data': base64('PEM') });
  const connection = await loadConnection({ kubeconfigPath, clock });
  assert.equal(foreignLoads, 1);
  assert.equal(connection.server, 'https://api.example:6443');
  assert.equal(connection.namespace, 'prod');
  assert.equal(connection.tls.ca, 'PEM');
  const first = (await connection.authorize()).authorization;
  assert.match(first ?? '', /^Bearer t\d+$/);
  assert.equal((await connection.authorize()).authorization, first);
  clock.advance(10_000);
  assert.notEqual((await connection.authorize()).authorization, first);
});
