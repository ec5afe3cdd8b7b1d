// The whole product through its front doors: what it prints, what it refuses, how it stops.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { get } from 'node:https';
import { after, before, describe, test } from 'node:test';
import { Agent, fetch, request } from 'undici';
import { WebSocket } from 'ws';
import { parse } from 'yaml';
import { type RunningStoker, startStoker } from '../support/running-stoker.ts';

interface Person {
  readonly server: string;
  readonly token: string;
  readonly caPem: string;
  readonly dispatcher: Agent;
}

function personOf(stoker: RunningStoker): Person {
  const config = parse(readFileSync(stoker.kubeconfig, 'utf8'));
  const ca = Buffer.from(config.clusters[0].cluster['certificate-authority-data'], 'base64').toString('utf8');
  return {
    server: config.clusters[0].cluster.server,
    token: config.users[0].user.token,
    caPem: ca,
    dispatcher: new Agent({ connect: { ca } }),
  };
}

/** By node:https, because undici would expect a certificate for the name in the Host header. */
async function statusWithHost({ server, token, caPem }: Person, host: string): Promise<number | undefined> {
  const call = get(`${server}/api/v1/namespaces/default/pods`, {
    ca: caPem,
    servername: 'localhost',
    headers: { host, authorization: `Bearer ${token}` },
  });
  const [response] = (await once(call, 'response')) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

const question = (stream: boolean) =>
  JSON.stringify({ model: 'demo', stream, max_tokens: 20, messages: [{ role: 'user', content: 'Hello!' }] });
const json = { 'content-type': 'application/json' };

describe('stoker up', { timeout: 120_000 }, () => {
  let stoker: RunningStoker;
  let person: Person;
  before(async () => {
    stoker = await startStoker();
    person = personOf(stoker);
  });
  after(async () => {
    await person.dispatcher.close();
    assert.deepEqual(await stoker.stop(), []);
  });

  test('prints one screen with addresses, models and a line to paste', () => {
    assert.match(stoker.screen(), /OpenAI API\s+http:\/\/127\.0\.0\.1:\d+\/v1/);
    assert.match(stoker.screen(), /MODEL\s+RUNG\n\s+demo/);
    assert.match(stoker.screen(), /curl -N /);
  });

  test('a request with a foreign origin is refused', async () => {
    const response = await request(`${stoker.addresses.openai}/v1/chat/completions`, {
      method: 'POST',
      headers: { ...json, origin: 'https://example.org' },
      body: question(false),
    });
    assert.equal(response.statusCode, 403);
    assert.match(await response.body.text(), /origin_not_allowed/);
  });

  test('a request with a foreign host is refused, on every port', async () => {
    for (const url of [`${stoker.addresses.openai}/v1/models`, `${stoker.addresses.status}/`]) {
      const response = await request(url, { headers: { host: 'rebound.example.org' } });
      assert.equal(response.statusCode, 403, url);
      await response.body.dump();
    }
    assert.equal(await statusWithHost(person, 'rebound.example.org'), 403);
  });

  test('a WebSocket from a web page is refused', async () => {
    for (const url of [stoker.addresses.openai, stoker.addresses.status]) {
      const opened = await new Promise<boolean>((resolve) => {
        const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/chat/completions`, {
          origin: 'http://elsewhere.test',
        });
        socket.on('open', () => resolve(true));
        socket.on('error', () => resolve(false));
      });
      assert.equal(opened, false, url);
    }
  });

  test('the Kubernetes API refuses a call without a token', async () => {
    const response = await request(`${person.server}/apis/stoker.dev/v1alpha1/namespaces/default/models`, {
      dispatcher: person.dispatcher,
    });
    assert.equal(response.statusCode, 401);
    await response.body.dump();
  });

  test('a person cannot create a Pod', async () => {
    const response = await request(`${person.server}/api/v1/namespaces/default/pods`, {
      dispatcher: person.dispatcher,
      method: 'POST',
      headers: { ...json, authorization: `Bearer ${person.token}` },
      body: JSON.stringify({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'mine' },
        spec: { containers: [{ name: 'a', image: 'a', command: ['sh'] }] },
      }),
    });
    assert.equal(response.statusCode, 403);
    assert.match(await response.body.text(), /Forbidden/);
  });

  test('health, readiness and metrics answer on the administration port', async () => {
    for (const path of ['/healthz', '/readyz', '/metrics', '/']) {
      const response = await request(`${stoker.addresses.status}${path}`);
      assert.equal(response.statusCode, 200, path);
      await response.body.dump();
    }
  });

  test('a second Stoker on the same data folder says so', async () => {
    await assert.rejects(startStoker({ dataDir: stoker.dataDir }), /uses the data folder/);
  });
});

describe('stoker up, stopping and starting', { timeout: 120_000 }, () => {
  test('Ctrl-C while a request is held ends it with an error event and leaves no process', async () => {
    const stoker = await startStoker();
    const response = await fetch(`${stoker.addresses.openai}/v1/chat/completions`, {
      method: 'POST',
      headers: json,
      body: question(true),
    });
    const left = stoker.stop();
    const text = await response.text();
    assert.match(text, /data: \{"error":/);
    assert.doesNotMatch(text, /\[DONE\]/);
    assert.deepEqual(await left, []);
  });

  test('a port that is taken says which flag to use', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? String(address.port) : '';
    const ports = (flag: string) =>
      ['--port', '--admin-port', '--api-port', '--link-port'].flatMap((name) => [name, name === flag ? port : '0']);
    for (const flag of ['--port', '--admin-port', '--api-port', '--link-port']) {
      await assert.rejects(startStoker({ ports: ports(flag) }), new RegExp(`already in use[\\s\\S]*${flag} N`), flag);
    }
    server.close();
  });
});

test('whoever read its screen is gone: it still stops in order, and leaves nothing', async () => {
  const stoker = await startStoker();
  stoker.process.stdout?.destroy();
  assert.deepEqual(await stoker.stop(), []);
  assert.equal(stoker.process.exitCode, 0);
});
