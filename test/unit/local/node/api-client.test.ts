// The node's client against a scripted HTTP server: resume, 410, cuts, faults, and what is sent.
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Pod } from '../../../../src/api/kinds.ts';
import { systemClock } from '../../../../src/lib/clock.ts';
import { silentLog } from '../../../../src/lib/log.ts';
import { createNodeApi } from '../../../../src/local/node/api-client.ts';
import type { NodeApi } from '../../../../src/local/node/node-api.ts';
import { until } from '../../../support/until.ts';

interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

let server: Server;
let api: NodeApi;
let seen: Seen[] = [];
let answer: (request: Seen, response: ServerResponse) => void;
let said: string[] = [];
let following: Promise<void>;
let stopping: AbortController;

const ref = { namespace: 'default', name: 'slot', uid: 'u-1' };
const never = new AbortController().signal;

function pod(name: string, resourceVersion: string): Pod {
  const metadata = { name, namespace: 'default', uid: `u-${name}`, resourceVersion };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [{ name: 'main', image: 'none' }] } };
}

const event = (type: string, object: object) => `${JSON.stringify({ type, object })}\n`;
const json = (response: ServerResponse, body: object, status = 200) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
const listOf = (version: string, ...items: unknown[]) => ({ metadata: { resourceVersion: version }, items });
const watches = () => seen.filter(({ url }) => url.includes('watch=true'));
const lists = () => seen.filter(({ url }) => url.includes('limit='));

function follow(): void {
  following = api.followPods(
    {
      onList: (pods) => said.push(`list ${pods.map(({ metadata }) => metadata.name).join(',')}`),
      onPod: ({ metadata }) => said.push(`pod ${metadata.name}`),
      onGone: ({ metadata }) => said.push(`gone ${metadata.name}`),
    },
    stopping.signal,
  );
}

beforeEach(async () => {
  seen = [];
  said = [];
  stopping = new AbortController();
  following = Promise.resolve();
  server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const { method = '', url = '', headers } = request;
    const call = { method, url, headers, body: text === '' ? undefined : JSON.parse(text) };
    seen.push(call);
    answer(call, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const rng = { next: () => 0.01, below: () => 0 };
  api = createNodeApi({
    url: `http://127.0.0.1:${port}`,
    caPem: '',
    token: 'a token',
    clock: systemClock,
    rng,
    log: silentLog,
  });
});

afterEach(async () => {
  stopping.abort();
  await following;
  await api.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe('following Pods', { timeout: 10_000 }, () => {
  test('lists in pages, watches from there, and resumes where a cut watch was', async () => {
    answer = ({ url }, response) => {
      if (url.includes('continue=next')) json(response, listOf('7', pod('b', '2')));
      else if (url.includes('limit='))
        json(response, { metadata: { resourceVersion: '7', continue: 'next' }, items: [pod('a', '1')] });
      else if (watches().length === 1) {
        const whole = event('ADDED', pod('c', '8')) + event('BOOKMARK', { metadata: { resourceVersion: '9' } });
        response.write(whole.slice(0, 30));
        setImmediate(() => {
          response.write(whole.slice(30));
          setImmediate(() => response.destroy());
        });
      } else response.write(event('DELETED', pod('a', '10')) + event('MODIFIED', pod('b', '11')));
    };
    follow();
    await until(() => said.includes('pod b'), 'all was said');
    assert.deepEqual(said, ['list a,b', 'pod c', 'gone a', 'pod b']);
    const versions = watches().map(({ url }) => new URL(url, 'http://a').searchParams.get('resourceVersion'));
    assert.deepEqual(versions, ['7', '9']);
    assert.equal(seen[0]?.headers.authorization, 'Bearer a token');
  });

  test('lists again when the version is gone, as a status and as an event', async () => {
    answer = ({ url }, response) => {
      if (!url.includes('watch=true')) json(response, listOf(String(lists().length)));
      else if (watches().length === 1) json(response, { kind: 'Status', code: 410 }, 410);
      else if (watches().length === 2) response.end(event('ERROR', { kind: 'Status', code: 410 }));
      else response.write(event('ADDED', pod('a', '5')));
    };
    follow();
    await until(() => said.includes('pod a'), 'the Pod came');
    assert.deepEqual(said, ['list ', 'list ', 'list ', 'pod a']);
  });

  test('comes back from 500, from garbage, and from watches that end at once, without a tight loop', async () => {
    answer = ({ url }, response) => {
      if (seen.length === 1) json(response, { message: 'not now' }, 500);
      else if (seen.length === 2) response.end('garbage');
      else if (!url.includes('watch=true')) json(response, listOf('1', { not: 'a Pod' }, pod('a', '1')));
      else response.end();
    };
    const startedMs = performance.now();
    follow();
    await until(() => watches().length >= 6, 'six watches');
    assert.deepEqual(said, ['list a']);
    // Waits at 1 % of their ceilings: 1, 2, 4, 8, 16, 32 ms.
    assert.ok(performance.now() - startedMs >= 55, 'it waits longer and longer');
  });
});

describe('calls', { timeout: 10_000 }, () => {
  test('a status is a merge patch that names the uid', async () => {
    answer = (_, response) => json(response, {});
    assert.deepEqual(await api.patchPodStatus(ref, { phase: 'Running', reason: null }, never), {
      ok: true,
      value: undefined,
    });
    assert.equal(seen[0]?.method, 'PATCH');
    assert.equal(seen[0]?.url, '/api/v1/namespaces/default/pods/slot/status');
    assert.equal(seen[0]?.headers['content-type'], 'application/merge-patch+json');
    assert.deepEqual(seen[0]?.body, { metadata: { uid: 'u-1' }, status: { phase: 'Running', reason: null } });
  });

  test('a removal has grace 0 and the uid', async () => {
    answer = (_, response) => json(response, {});
    await api.removePod(ref, never);
    assert.equal(seen[0]?.method, 'DELETE');
    assert.deepEqual(seen[0]?.body, {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      gracePeriodSeconds: 0,
      preconditions: { uid: 'u-1' },
    });
  });

  test('a token is bound to the Pod, and its end becomes a span', async () => {
    answer = (_, response) => {
      const expirationTimestamp = new Date(systemClock.wallMs() + 3_600_000).toISOString();
      json(response, { status: { token: 'secret', expirationTimestamp } }, 201);
    };
    const wanted = { serviceAccountName: 'stoker-slot', audience: 'stoker-link', expirationSeconds: 3600 };
    const token = await api.requestToken(ref, wanted, never);
    assert.ok(token.ok && token.value.token === 'secret' && Math.abs(token.value.expiresInSeconds - 3600) < 5);
    assert.equal(seen[0]?.url, '/api/v1/namespaces/default/serviceaccounts/stoker-slot/token');
    assert.deepEqual(seen[0]?.body, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: ['stoker-link'],
        expirationSeconds: 3600,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'slot', uid: 'u-1' },
      },
    });
  });

  test('answers are translated once', async () => {
    const rows = [
      [404, 'NotFound'],
      [409, 'Conflict'],
      [403, 'Refused'],
      [422, 'Refused'],
      [429, 'Unavailable'],
      [503, 'Unavailable'],
    ] as const;
    for (const [status, reason] of rows) {
      answer = (_, response) => json(response, { message: `says ${status}` }, status);
      assert.deepEqual(await api.readSecret('default', 'keys', never), {
        ok: false,
        error: { reason, message: `says ${status}` },
      });
    }
    answer = (_, response) => response.destroy();
    const cut = await api.removePod(ref, never);
    assert.ok(!cut.ok && cut.error.reason === 'Unavailable');
  });
});
