// The script of `helm test`, run as it is against a router of our own making: it passes when everything is right, and
// says what is wrong when one thing is not.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../../charts/stoker/files/helm-test.mjs', import.meta.url));
const KEY = 'k-0123456789';

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** And the API server: both are one here. */
interface Router {
  models(request: IncomingMessage): Answer;
  chat(request: IncomingMessage): Answer;
  pool(request: IncomingMessage): Answer;
  model(request: IncomingMessage): Answer;
  lease(request: IncomingMessage): Answer;
}

let renewals = 0;

const stream = `data: {"choices":[{"delta":{"role":"assistant"}}]}\n\ndata: {"choices":[{"delta":{"content":"Hi"}}]}\n\n`;
const isKnown = (request: IncomingMessage) => request.headers.authorization === `Bearer ${KEY}`;

const good: Router = {
  models: (request) =>
    isKnown(request) ? { status: 200, body: '{"data":[{"id":"a"}]}' } : { status: 401, body: '{}' },
  chat: () => ({ status: 200, body: `${stream}data: [DONE]\n\n` }),
  pool: () => ({ status: 201, body: '{}' }),
  model: () => ({ status: 422, body: 'spec.servedName: Required value' }),
  lease: () => {
    renewals += 1;
    return { status: 200, body: JSON.stringify({ spec: { holderIdentity: 'c-0', renewTime: `t${renewals}` } }) };
  },
};

const API = '/apis/stoker.dev/v1alpha1/namespaces/llm';
const doorOf: Readonly<Record<string, keyof Router>> = {
  '/v1/models': 'models',
  '/v1/chat/completions': 'chat',
  [`${API}/pools?dryRun=All`]: 'pool',
  [`${API}/models?dryRun=All`]: 'model',
  '/apis/coordination.k8s.io/v1/namespaces/llm/leases/stoker-controller': 'lease',
};

let folder = '';

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'helm-test-'));
  writeFileSync(join(folder, 'keys'), `# callers\n\nteam: ${KEY}\n`);
  writeFileSync(join(folder, 'token'), 'account-token\n');
  // What the script calls to make and delete its objects: writes down what it was asked.
  writeFileSync(join(folder, 'stoker'), `#!/bin/sh\necho "$@" >> ${folder}/calls\n`);
  chmodSync(join(folder, 'stoker'), 0o755);
});

after(() => rmSync(folder, { recursive: true, force: true }));

async function runAgainst(
  router: Partial<Router>,
  objects: boolean,
  asksServer = false,
): Promise<{ code: number | null; output: string }> {
  const all = { ...good, ...router };
  const server = createServer((request, response) => {
    request.resume();
    const door = doorOf[request.url ?? ''];
    const { status, body } = door === undefined ? { status: 400, body: String(request.url) } : all[door](request);
    response.writeHead(status).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const child = spawn(process.execPath, [script], {
    env: {
      PATH: `${folder}${delimiter}${process.env.PATH ?? ''}`,
      ROUTER_URL: url,
      TIMEOUT_SECONDS: '20',
      KEYS_FILE: join(folder, 'keys'),
      ...(asksServer ? { KUBE_URL: url, KUBE_TOKEN_FILE: join(folder, 'token'), NAMESPACE: 'llm' } : {}),
      ...(objects ? { KUBECONFIG: '/kubeconfig', OBJECTS_FILE: '/objects.yaml' } : {}),
    },
  });
  let output = '';
  for (const pipe of [child.stdout, child.stderr])
    pipe.on('data', (bytes: Buffer) => {
      output += bytes.toString();
    });
  const [code] = (await once(child, 'close')) as [number | null];
  server.close();
  return { code, output };
}

describe('the script of helm test', () => {
  it('passes on a router that refuses strangers and lists its models', async () => {
    const { code, output } = await runAgainst({}, false);
    assert.equal(output, 'ok: the router refuses callers without a key\nok: the router lists models: 1 models\n');
    assert.equal(code, 0);
  });

  it('asks the API server for the kinds and the leader, and makes nothing', async () => {
    rmSync(join(folder, 'calls'), { force: true });
    const tokens = new Set<string | undefined>();
    const pool = (request: IncomingMessage) => {
      tokens.add(request.headers.authorization);
      return { status: request.method === 'POST' ? 201 : 405, body: '{}' };
    };
    const { code, output } = await runAgainst({ pool }, false, true);
    assert.match(
      output,
      /ok: the API server serves the kinds, and refuses what is wrong\nok: a controller leads: c-0\n$/,
    );
    assert.equal(code, 0);
    assert.deepEqual([...tokens], ['Bearer account-token']);
    assert.ok(!existsSync(join(folder, 'calls')));
  });

  it('says what the API server has not', async () => {
    const table: readonly (readonly [Partial<Router>, RegExp])[] = [
      [{ pool: () => ({ status: 404, body: '' }) }, /FAILED: .*There is no kind Pool: install charts\/stoker-crds\./],
      [{ pool: () => ({ status: 403, body: 'forbidden' }) }, /FAILED: .*A Pool was refused: forbidden/],
      [{ model: () => ({ status: 201, body: '{}' }) }, /FAILED: .*A Model without anything got 201, not 422/],
      [{ lease: () => ({ status: 404, body: 'none' }) }, /FAILED: a controller leads\. The Lease .*404: none/],
    ];
    for (const [router, sentence] of table) {
      const { code, output } = await runAgainst(router, false, true);
      assert.equal(code, 1);
      assert.match(output, sentence);
    }
  });

  it('makes its objects, waits for a streamed answer, and deletes them', async () => {
    const warming = [404, 503];
    const chat = () => {
      const status = warming.shift();
      return status === undefined ? good.chat({} as IncomingMessage) : { status, body: '{}' };
    };
    const { code, output } = await runAgainst({ chat }, true);
    assert.equal(code, 0, output);
    assert.match(output, /streamed an answer: 2 chunks\nok: the test objects are gone\n$/);
    assert.deepEqual(readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n'), [
      'apply -f /objects.yaml --kubeconfig /kubeconfig',
      'delete model helm-test --kubeconfig /kubeconfig',
      'delete pool helm-test --kubeconfig /kubeconfig',
    ]);
  });

  it('fails with the reason, and deletes its objects all the same', async () => {
    const table: readonly (readonly [Partial<Router>, RegExp])[] = [
      [
        { models: () => ({ status: 200, body: '{"data":[]}' }) },
        /FAILED: .*Without a key the router answered 200, not 401\./,
      ],
      [
        { models: (request) => ({ status: isKnown(request) ? 500 : 401, body: 'broken' }) },
        /FAILED: .*answered 500: broken/,
      ],
      [{ chat: () => ({ status: 502, body: 'no slot' }) }, /FAILED: .*502: no slot/],
      [{ chat: () => ({ status: 200, body: stream }) }, /FAILED: .*The stream was cut/],
      [{ chat: () => ({ status: 200, body: 'data: [DONE]\n' }) }, /FAILED: .*The stream had no content/],
    ];
    for (const [router, sentence] of table) {
      rmSync(join(folder, 'calls'), { force: true });
      const { code, output } = await runAgainst(router, true);
      assert.equal(code, 1);
      assert.match(output, sentence);
      if ('chat' in router) assert.match(readFileSync(join(folder, 'calls'), 'utf8'), /delete pool helm-test/);
    }
  });

  it('fails when nobody answers', async () => {
    const child = spawn(process.execPath, [script], {
      env: { ROUTER_URL: 'http://127.0.0.1:1', TIMEOUT_SECONDS: '5', KEYS_FILE: join(folder, 'keys') },
    });
    let output = '';
    child.stdout.on('data', (bytes: Buffer) => {
      output += bytes.toString();
    });
    const [code] = (await once(child, 'close')) as [number | null];
    assert.equal(code, 1);
    assert.match(output, /FAILED: the router refuses callers without a key\. .*(refused|bad port)/i);
  });
});
