// The script of `helm test`, run as it is against a router of our own making: it passes when everything is right, and
// says what is wrong when one thing is not.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

interface Router {
  models(request: IncomingMessage): Answer;
  chat(request: IncomingMessage): Answer;
}

const stream = `data: {"choices":[{"delta":{"role":"assistant"}}]}\n\ndata: {"choices":[{"delta":{"content":"Hi"}}]}\n\n`;
const isKnown = (request: IncomingMessage) => request.headers.authorization === `Bearer ${KEY}`;

const good: Router = {
  models: (request) =>
    isKnown(request) ? { status: 200, body: '{"data":[{"id":"a"}]}' } : { status: 401, body: '{}' },
  chat: () => ({ status: 200, body: `${stream}data: [DONE]\n\n` }),
};

let folder = '';

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'helm-test-'));
  writeFileSync(join(folder, 'keys'), `# callers\n\nteam: ${KEY}\n`);
  // What the script calls to make and delete its objects: writes down what it was asked.
  writeFileSync(join(folder, 'stoker'), `#!/bin/sh\necho "$@" >> ${folder}/calls\n`);
  chmodSync(join(folder, 'stoker'), 0o755);
});

after(() => rmSync(folder, { recursive: true, force: true }));

async function runAgainst(router: Partial<Router>, objects: boolean): Promise<{ code: number | null; output: string }> {
  const { models, chat } = { ...good, ...router };
  const server = createServer((request, response) => {
    request.resume();
    const { status, body } = request.url === '/v1/models' ? models(request) : chat(request);
    response.writeHead(status).end(body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const child = spawn(process.execPath, [script], {
    env: {
      PATH: `${folder}${delimiter}${process.env.PATH ?? ''}`,
      ROUTER_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      TIMEOUT_SECONDS: '20',
      KEYS_FILE: join(folder, 'keys'),
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
