// Who may speak to the embedded API, what each caller may do, and what hostile input meets.
import assert from 'node:assert/strict';
import { request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { createConnection } from 'node:net';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { connect } from 'node:tls';
import { Agent, request } from 'undici';
import { kinds } from '../../src/api/kinds.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import type { ApiServer } from '../../src/local/api/index.ts';
import { configMap, type Json, model } from '../contract/session.ts';
import { type EmbeddedApi, startEmbeddedApi } from '../support/embedded-api.ts';

type CallerName = keyof ApiServer['tokens'];
type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

let api: EmbeddedApi;
let agent: Agent;
before(async () => {
  api = await startEmbeddedApi();
  agent = new Agent({ connect: { ca: api.server.caPem } });
});
after(async () => {
  await agent.destroy();
  await api.close();
});

interface CallOptions {
  readonly headers?: Record<string, string>;
  readonly body?: string | Readable;
}

async function call(method: Method, path: string, { headers = {}, body }: CallOptions = {}) {
  const response = await request(api.server.url + path, {
    dispatcher: agent,
    method,
    headers,
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.body.text();
  return { code: response.statusCode, text, headers: response.headers };
}

const bearer = (caller: CallerName) => ({ authorization: `Bearer ${api.server.tokens[caller]}` });
const as = (caller: CallerName, method: Method, path: string, body?: object, type = 'application/json') =>
  call(method, path, {
    headers: { ...bearer(caller), 'content-type': type },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

const inDefault = (rest: string) => `/api/v1/namespaces/default/${rest}`;
const pod = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'a', image: 'a', command: ['sh'] }] },
});

describe('who may speak', () => {
  const paths = [
    '/healthz',
    '/version',
    '/api',
    '/openapi/v3',
    '/nothing',
    inDefault('pods'),
    '/apis/stoker.dev/v1alpha1/models',
  ];

  test('without a token, with a wrong one and with a broken header every path is 401', async () => {
    for (const path of paths) {
      for (const authorization of [
        undefined,
        'Bearer wrong',
        'Bearer',
        'Basic YTpi',
        `Bearer ${api.server.tokens.person}x`,
      ]) {
        const { code, text } = await call(
          'GET',
          path,
          authorization === undefined ? {} : { headers: { authorization } },
        );
        assert.equal(code, 401, `${path} ${authorization}`);
        assert.equal(JSON.parse(text).reason, 'Unauthorized');
      }
    }
    assert.equal((await as('person', 'GET', '/healthz')).code, 200);
  });

  test('a token of a Pod opens nothing here', async () => {
    const made = await as('node', 'POST', inDefault('serviceaccounts/stoker-slot/token'), { spec: {} });
    assert.equal(made.code, 201);
    const { token } = JSON.parse(made.text).status;
    const { code } = await call('GET', inDefault('pods'), { headers: { authorization: `Bearer ${token}` } });
    assert.equal(code, 401);
  });

  test('a web page is refused, whatever it carries', async () => {
    for (const origin of ['https://example.org', 'null', api.server.url]) {
      const { code, text } = await call('GET', inDefault('pods'), { headers: { ...bearer('person'), origin } });
      assert.equal(code, 403);
      assert.match(text, /requests from web pages are refused/);
    }
  });

  /** undici takes the Host for the name in the certificate; here they differ. */
  const withHost = (host: string) =>
    new Promise<{ code: number | undefined; text: string }>((resolve, reject) => {
      const { port, caPem: ca } = api.server;
      const headers = { ...bearer('person'), host };
      secureRequest({ host: '127.0.0.1', port, ca, servername: 'localhost', path: '/healthz', headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.once('end', () => resolve({ code: response.statusCode, text }));
      })
        .once('error', reject)
        .end();
    });

  test('a name that is not of this machine is refused', async () => {
    const { code, text } = await withHost('rebound.example.org:443');
    assert.equal(code, 403);
    assert.match(text, /rebound\.example\.org.* is not served here/);
    for (const own of ['localhost:1', '127.0.0.1', '[::1]:8082']) assert.equal((await withHost(own)).code, 200, own);
  });

  test('who does not know the authority cannot be fooled, and plain HTTP gets nothing', async () => {
    const stranger = new Agent();
    await assert.rejects(
      request(`${api.server.url}/healthz`, { dispatcher: stranger, headers: bearer('person') }),
      /certificate/,
    );
    await stranger.destroy();
    const failed = await new Promise<Error>((resolve, reject) => {
      const sent = plainRequest({ port: api.server.port, host: '127.0.0.1', path: '/healthz' }, () =>
        reject(new Error('it answered')),
      );
      sent.once('error', resolve).end();
    });
    assert.match(failed.message, /hang up|ECONNRESET|Parse Error/);
  });

  test('old TLS is refused', async () => {
    await assert.rejects(
      new Promise((resolve, reject) => {
        const socket = connect({
          port: api.server.port,
          host: '127.0.0.1',
          ca: api.server.caPem,
          maxVersion: 'TLSv1.1',
          minVersion: 'TLSv1',
        });
        socket.once('secureConnect', resolve).once('error', reject);
      }),
    );
  });
});

describe('what each caller may do', () => {
  test('a person reads and deletes Pods, and writes none', async () => {
    assert.equal((await as('controller', 'POST', inDefault('pods'), pod('theirs'))).code, 201);
    const merge = 'application/merge-patch+json';
    const refused = [
      await as('person', 'POST', inDefault('pods'), pod('mine')),
      await as('person', 'PUT', inDefault('pods/theirs'), pod('theirs')),
      await as('person', 'PATCH', inDefault('pods/theirs'), { metadata: { labels: { a: 'b' } } }, merge),
      await as('person', 'PATCH', inDefault('pods/theirs/status'), { status: { phase: 'Running' } }, merge),
    ];
    for (const { code, text } of refused) {
      assert.equal(code, 403, text);
      assert.match(JSON.parse(text).message, /Pods are made and changed by the controller alone/);
    }
    assert.equal((await as('person', 'GET', inDefault('pods/theirs'))).code, 200);
    assert.equal((await as('person', 'DELETE', inDefault('pods/theirs?gracePeriodSeconds=0'))).code, 200);
  });

  test('a person neither makes nor judges tokens', async () => {
    assert.equal((await as('person', 'POST', inDefault('serviceaccounts/stoker-slot/token'), { spec: {} })).code, 403);
    const review = await as('person', 'POST', '/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token: 'x' } });
    assert.equal(review.code, 403);
  });

  test('the router’s token opens no object, only the question who it is', async () => {
    for (const path of [
      inDefault('pods'),
      inDefault('secrets'),
      '/apis/stoker.dev/v1alpha1/namespaces/default/models',
      '/api/v1/namespaces',
    ]) {
      assert.equal((await as('router', 'GET', path)).code, 403, path);
    }
    assert.equal((await as('router', 'POST', inDefault('configmaps'), configMap('x', {}))).code, 403);
    const self = await as('router', 'POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {});
    assert.match(self.text, /stoker-router/);
  });

  test('the node reports on Pods, and changes nothing else', async () => {
    assert.equal((await as('node', 'GET', inDefault('pods'))).code, 200);
    assert.equal((await as('node', 'POST', inDefault('pods'), pod('own'))).code, 403);
    assert.equal((await as('node', 'PUT', inDefault('pods/own'), pod('own'))).code, 403);
    assert.equal((await as('node', 'GET', inDefault('secrets'))).code, 403);
    const models = '/apis/stoker.dev/v1alpha1/namespaces/default/models';
    assert.equal((await as('node', 'POST', models, model('x'))).code, 403);
    assert.equal((await as('node', 'PUT', inDefault('secrets/x'), {})).code, 403);
    assert.equal((await as('node', 'DELETE', inDefault('configmaps'))).code, 403);
  });

  test('a Pod’s token says who it is, for its audience, as long as that Pod exists', async () => {
    const made = JSON.parse((await as('controller', 'POST', inDefault('pods'), pod('bound'))).text);
    const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name: 'bound', uid: made.metadata.uid };
    const spec = { audiences: ['link'], expirationSeconds: 600, boundObjectRef };
    const { status } = JSON.parse(
      (await as('node', 'POST', inDefault('serviceaccounts/stoker-slot/token'), { spec })).text,
    );
    const review = async (token: string, audience: string): Promise<Json> => {
      const body = { spec: { token, audiences: [audience] } };
      return JSON.parse((await as('controller', 'POST', '/apis/authentication.k8s.io/v1/tokenreviews', body)).text)
        .status;
    };
    const good = await review(status.token, 'link');
    assert.equal(good.authenticated, true);
    assert.equal(good.user.username, 'system:serviceaccount:default:stoker-slot');
    assert.deepEqual(good.user.extra['authentication.kubernetes.io/pod-uid'], [made.metadata.uid]);
    assert.equal((await review(status.token, 'other')).authenticated, false);
    const [header, payload] = status.token.split('.');
    assert.equal((await review(`${header}.${payload}.AAAA`, 'link')).authenticated, false);
    const other = { ...boundObjectRef, uid: '11111111-1111-4111-8111-111111111111' };
    const refused = await as('node', 'POST', inDefault('serviceaccounts/stoker-slot/token'), {
      spec: { ...spec, boundObjectRef: other },
    });
    assert.equal(refused.code, 409);
    await as('controller', 'DELETE', inDefault('pods/bound?gracePeriodSeconds=0'));
    assert.equal((await review(status.token, 'link')).authenticated, false);
  });
});

describe('hostile input', () => {
  const post = (body: string | Readable, type = 'application/json') =>
    call('POST', inDefault('configmaps'), { headers: { ...bearer('person'), 'content-type': type }, body });

  test('a body above the bound is 413, with its length announced and without', async () => {
    const large = JSON.stringify(configMap('large', { a: 'x'.repeat(3 * 1024 * 1024) }));
    const announced = await post(large);
    assert.equal(announced.code, 413);
    assert.equal(JSON.parse(announced.text).reason, 'RequestEntityTooLarge');
    async function* chunks() {
      for (let at = 0; at < large.length; at += 65_536) yield Buffer.from(large.slice(at, at + 65_536));
    }
    const streamed = await post(Readable.from(chunks()));
    assert.equal(streamed.code, 413);
    assert.equal((await as('person', 'GET', '/healthz')).code, 200);
  });

  test('an object cannot be patched beyond the bound of one object', async () => {
    assert.equal((await as('person', 'POST', inDefault('configmaps'), configMap('grown', {}))).code, 201);
    const annotations = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`a${at}`, 'x'.repeat(40_000)]));
    const { code } = await as(
      'person',
      'PATCH',
      inDefault('configmaps/grown'),
      { metadata: { annotations } },
      'application/merge-patch+json',
    );
    assert.ok(code === 413 || code === 422, String(code));
    const status = { conditions: [], x: 'y'.repeat(1_800_000) };
    const made = await as('controller', 'POST', inDefault('pods'), {
      ...pod('grown'),
      spec: { ...pod('x').spec, other: status.x },
    });
    assert.equal(made.code, 413);
    assert.match(made.text, /pods \\"grown\\" is larger than 1572864 bytes/);
    assert.equal((await as('controller', 'GET', inDefault('pods/grown'))).code, 404);
  });

  test('nesting is bounded, in bodies and in what patches make', async () => {
    const deep = `${'{"a":'.repeat(200)}1${'}'.repeat(200)}`;
    const refused = await post(deep);
    assert.equal(refused.code, 400);
    assert.match(refused.text, /nested too deep/);
    assert.equal((await post('['.repeat(1_000_000))).code, 400);
    assert.equal((await as('controller', 'POST', inDefault('pods'), pod('nested'))).code, 201);
    const patch = [
      { op: 'add', path: '/spec/x', value: {} },
      ...Array.from({ length: 8 }, (_, at) => ({
        op: 'copy',
        from: '/spec/x',
        path: `/spec/x${'/y'.repeat(2 ** at)}`,
      })),
    ];
    const { code, text } = await as(
      'controller',
      'PATCH',
      inDefault('pods/nested'),
      patch,
      'application/json-patch+json',
    );
    assert.equal(code, 400, text);
    assert.match(text, /the patched object is nested too deep/);
  });

  test('a patch with too many steps is refused', async () => {
    await as('person', 'POST', inDefault('configmaps'), configMap('steps', {}));
    const patch = Array.from({ length: 1001 }, () => ({ op: 'test', path: '/kind', value: 'ConfigMap' }));
    const { code } = await as('person', 'PATCH', inDefault('configmaps/steps'), patch, 'application/json-patch+json');
    assert.equal(code, 413);
  });

  test('what is wrong with a body is told without showing it', async () => {
    const { code, text } = await post('{"data": {"password": "hunter2" "x"}}');
    assert.equal(code, 400);
    assert.doesNotMatch(text, /hunter2/);
    assert.match(text, /the body is not JSON/);
    const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { key: 'not*base64' } };
    const refused = await as('person', 'POST', inDefault('secrets'), secret);
    assert.equal(refused.code, 422);
    assert.match(refused.text, /data\[key\] must be base64/);
    assert.doesNotMatch(refused.text, /not\*base64/);
  });

  test('other formats are 415, broken protobuf is 400', async () => {
    assert.equal((await post('a: b', 'application/yaml')).code, 415);
    assert.equal((await post('a=b', 'application/x-www-form-urlencoded')).code, 415);
    assert.equal((await post('nothing', 'application/vnd.kubernetes.protobuf')).code, 400);
  });

  test('names of members that JavaScript knows are names like any other', async () => {
    const text = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"proto","__proto__":{"finalizers":["x/y"]}},"data":{"__proto__":"a","constructor":"b"},"__proto__":{"immutable":true}}`;
    const made = await post(text);
    assert.equal(made.code, 201, made.text);
    assert.match(made.text, /"__proto__":"a"/);
    assert.equal(JSON.parse(made.text).metadata.finalizers, undefined);
    const steps = [{ op: 'add', path: '/__proto__/polluted', value: 'yes' }];
    const patched = await as('person', 'PATCH', inDefault('configmaps/proto'), steps, 'application/json-patch+json');
    assert.equal(patched.code, 422);
    await as(
      'person',
      'PATCH',
      inDefault('configmaps/proto'),
      JSON.parse('{"__proto__":{"polluted":"yes"}}'),
      'application/merge-patch+json',
    );
    assert.equal(({} as Json).polluted, undefined);
  });

  test('paths with dots, slashes and broken escapes lead nowhere', async () => {
    await as('person', 'POST', inDefault('configmaps'), configMap('here', {}));
    for (const path of [
      inDefault('configmaps/..%2fconfigmaps%2fhere'),
      inDefault('configmaps/%2e%2e%2fhere'),
      inDefault('configmaps/here%00'),
      inDefault('configmaps/here%2f'),
      '/api/v1/namespaces/default%2fconfigmaps/here/configmaps/here',
      '/api/v1//configmaps/here',
      '/api/v1/namespaces//configmaps',
      '/api/v1/configmaps/here',
      '/api/v1/__proto__',
    ]) {
      assert.equal((await as('person', 'GET', path)).code, 404, path);
    }
    for (const path of [inDefault('configmaps/%zz'), inDefault('configmaps/%c3')]) {
      assert.equal((await as('person', 'GET', path)).code, 400, path);
    }
    assert.equal((await as('person', 'GET', inDefault('configmaps/here'))).code, 200);
  });

  test('methods that mean nothing are 405', async () => {
    assert.equal((await as('person', 'POST', inDefault('configmaps/here'), configMap('here', {}))).code, 405);
    assert.equal((await as('person', 'DELETE', '/api/v1/configmaps')).code, 405);
    assert.equal((await as('person', 'POST', '/version', {})).code, 405);
  });

  test('headers above the bound and bytes that are no TLS cost one connection and nothing else', async () => {
    await assert.rejects(call('GET', '/healthz', { headers: { ...bearer('person'), 'x-large': 'x'.repeat(20_000) } }));
    const socket = createConnection(api.server.port, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.write('GET / HTTP/1.1\r\nHost: ');
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    await closed;
    assert.equal((await as('person', 'GET', '/healthz')).code, 200);
  });

  test('a watch that does not read is cut, and the others go on', async () => {
    const client = createKubeClient(api.connectionOf('controller'));
    const response = await request(`${api.server.url}${inDefault('configmaps?watch=true')}`, {
      dispatcher: agent,
      headers: bearer('person'),
    });
    const ended = new Promise((resolve) => response.body.once('error', resolve).once('end', resolve));
    const data = { a: 'x'.repeat(1_000_000) };
    assert.ok((await client.create(kinds.ConfigMap, configMap('flood', data), { namespace: 'default' })).ok);
    // The watch reads nothing: what is written waits in its socket, in undici and in the kernel, until the bound is met.
    for (let at = 0; at < 40; at += 1) {
      const patched = await client.patch(
        kinds.ConfigMap,
        { namespace: 'default', name: 'flood' },
        { data: { at: String(at) } },
      );
      assert.ok(patched.ok);
    }
    response.body.resume();
    await ended;
    await client.close();
    assert.equal((await as('person', 'GET', '/healthz')).code, 200);
  });
});
