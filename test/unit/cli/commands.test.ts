// The commands as a person types them, against a scripted API: what is printed, what is sent, how they end.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { Command } from 'commander';
import { addCommands } from '../../../src/cli/commands.ts';
import { renderKubeconfig } from '../../../src/main/kubeconfig.ts';
import { type FakeApiServer, startFakeApiServer } from '../../support/fake-api-server.ts';
import { type FakeObjects, fakeObjects } from '../../support/fake-objects.ts';
import { type Printed, terminal } from '../../support/terminal.ts';

const folder = mkdtempSync(join(tmpdir(), 'stoker-commands-'));
const server: FakeApiServer = await startFakeApiServer();
const kubeconfig = join(folder, 'kubeconfig');
writeFileSync(
  kubeconfig,
  renderKubeconfig({ url: server.connection.server, caPem: 'none', user: 'person', token: 'hunter2' }),
);
let store: FakeObjects;

beforeEach(() => {
  store = fakeObjects();
  server.onCall = store.answer;
});
after(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function run(args: readonly string[], environment: Record<string, string> = {}): Promise<Printed> {
  const { io, printed } = terminal({ environment: { KUBECONFIG: kubeconfig, ...environment } });
  const program = new Command('stoker').exitOverride();
  addCommands(program, () => io);
  await program.parseAsync(args, { from: 'user' });
  return printed;
}

function file(name: string, ...documents: readonly object[]): string {
  const path = join(folder, name);
  writeFileSync(path, documents.map((document) => JSON.stringify(document)).join('\n---\n'));
  return path;
}

const pool = (name: string, max = 1) => ({
  apiVersion: 'stoker.dev/v1alpha1',
  kind: 'Pool',
  metadata: { name },
  spec: { accelerator: { resourceName: 'stoker.dev/cpu', countPerSlot: 1, className: 'cpu' }, slots: { min: 1, max } },
});

test('apply creates, then leaves alone, then changes only what differs', async () => {
  assert.equal((await run(['apply', '-f', file('a.yaml', pool('small'))])).out, 'pool/small created\n');
  assert.equal((await run(['apply', '-f', file('a.yaml', pool('small'))])).out, 'pool/small unchanged\n');
  const changed = await run(['apply', '-f', file('a.yaml', pool('small', 3))]);
  assert.equal(changed.out, 'pool/small configured\n');
  assert.equal(changed.exitCode, undefined);
  const sent = server.calls.at(-1);
  assert.equal(sent?.headers['content-type'], 'application/merge-patch+json');
  assert.deepEqual((sent?.body as { spec: object } | undefined)?.spec, { slots: { max: 3 } });
});

test('apply says file, line and field of what is bad, and applies what is good beside it', async () => {
  const bad = { ...pool('bad'), spec: { ...pool('bad').spec, slots: { min: 1, max: 1, spare: 2 } } };
  const path = file('mixed.yaml', pool('good'), bad);
  const printed = await run(['apply', '-f', path, join(folder, 'absent.yaml')]);
  assert.equal(printed.out, 'pool/good created\n');
  assert.match(printed.err, /mixed\.yaml:3: spec\.slots\.spare: /);
  assert.match(printed.err, /absent\.yaml cannot be read: ENOENT/);
  assert.match(printed.err, /stoker: There were 2 problems; what is good was applied \(1\)\.\n$/);
  assert.equal(printed.exitCode, 1);
});

test('apply takes a folder, and says when there is nothing in it', async () => {
  const nested = join(folder, 'many');
  mkdirSync(nested);
  assert.match((await run(['apply', '-f', nested])).err, /the folder has no \.yaml, \.yml or \.json file/);
  file('many/b.yaml', pool('b'));
  file('many/a.json', pool('a'));
  writeFileSync(join(nested, 'notes.txt'), 'not: read');
  assert.equal((await run(['apply', '-f', nested])).out, 'pool/a created\npool/b created\n');
  writeFileSync(join(folder, 'empty.yaml'), '# nothing\n');
  const empty = await run(['apply', '-f', join(folder, 'empty.yaml')]);
  assert.match(empty.err, /empty\.yaml: there is no object\./);
  assert.equal(empty.exitCode, 1);
});

test('apply for programs is one JSON document', async () => {
  const printed = await run(['apply', '-o', 'json', '-f', file('a.yaml', pool('small'))]);
  assert.deepEqual(JSON.parse(printed.out), {
    applied: [{ kind: 'Pool', name: 'small', verb: 'created' }],
    problems: 0,
  });
});

test('apply keeps the sentence of the server with the place in the file, and stops when the server does not know the caller', async () => {
  server.onCall = (call) =>
    call.method === 'POST'
      ? {
          status: 422,
          body: { kind: 'Status', message: 'Pool "a" is invalid: spec.slots: too many', details: { name: 'a' } },
        }
      : store.answer(call);
  const path = file('two.yaml', pool('a'), pool('b'));
  assert.match((await run(['apply', '-f', path])).err, /two\.yaml:1: Pool "a" is invalid: spec\.slots: too many\n/);
  server.onCall = () => ({ status: 401, body: {} });
  const calls = server.calls.length;
  assert.match((await run(['apply', '-f', path])).err, /^stoker: .*does not accept the credentials/);
  assert.equal(server.calls.length, calls + 1);
});

test('get draws the columns of the server, and JSON is what the server said', async () => {
  server.onCall = (call) =>
    call.headers.accept?.includes('as=Table') === true
      ? {
          body: {
            columnDefinitions: [{ name: 'Name' }, { name: 'Rung' }, { name: 'Hidden', priority: 1 }],
            rows: [{ cells: ['demo', 'Asleep', 'x'] }, { cells: ['other', null, 'y'] }],
          },
        }
      : { body: { kind: 'ModelList', items: [] } };
  assert.equal((await run(['get', 'models'])).out, 'NAME    RUNG\ndemo    Asleep\nother\n');
  assert.deepEqual(JSON.parse((await run(['get', 'mdl', '-o', 'json'])).out), { kind: 'ModelList', items: [] });
});

test('get says which kinds there are, when there is nothing, and when a name is unknown', async () => {
  const unknown = await run(['get', 'tenants']);
  assert.equal(unknown.err, 'stoker: There is no kind "tenants". There are: pools, models, revisions, pods.\n');
  assert.equal(unknown.exitCode, 1);
  assert.match((await run(['get', 'model', 'absent'])).err, /models "absent" not found/);
  server.onCall = () => ({ body: { columnDefinitions: [{ name: 'Name' }], rows: null } });
  const none = await run(['get', 'models']);
  assert.deepEqual([none.out, none.err, none.exitCode], ['', 'There are no models in default.\n', undefined]);
});

test('delete waits until the object is gone', async () => {
  await run(['apply', '-f', file('a.yaml', pool('small'))]);
  let reads = 0;
  server.onCall = (call) => {
    if (call.method === 'DELETE') return { body: store.objects.get('pools/small') };
    reads += 1;
    if (reads > 2) store.objects.clear();
    return store.answer(call);
  };
  assert.equal((await run(['delete', 'pool', 'small'])).out, 'pool/small deleted\n');
  assert.equal(reads, 3);
});

test('delete gives up in time, and says that the deletion goes on', async () => {
  await run(['apply', '-f', file('a.yaml', pool('small'))]);
  server.onCall = (call) =>
    call.method === 'DELETE' ? { body: store.objects.get('pools/small') } : store.answer(call);
  const printed = await run(['delete', 'pool', 'small', '--timeout', '1']);
  assert.match(printed.err, /Pool small is being deleted, but was not gone after 1 s/);
  assert.equal(printed.exitCode, 1);
});

test('an interrupt while waiting ends with 130 and no sentence', async () => {
  await run(['apply', '-f', file('a.yaml', pool('small'))]);
  const interrupted = new AbortController();
  server.onCall = (call) => {
    if (call.method === 'GET') interrupted.abort(new Error('interrupted'));
    return call.method === 'DELETE' ? { body: store.objects.get('pools/small') } : store.answer(call);
  };
  const { io, printed } = terminal({ environment: { KUBECONFIG: kubeconfig }, signal: interrupted.signal });
  const program = new Command('stoker').exitOverride();
  addCommands(program, () => io);
  await program.parseAsync(['delete', 'pool', 'small'], { from: 'user' });
  assert.deepEqual(printed, { out: '', err: '', exitCode: 130 });
});

test('model add makes the model with an absolute path, and waits until it is pinned', async () => {
  await run(['apply', '-f', file('a.yaml', pool('default'))]);
  writeFileSync(join(folder, 'mine.gguf'), 'GGUF and more');
  let reads = 0;
  server.onCall = (call) => {
    const answer = store.answer(call);
    if (call.method !== 'GET' || !call.path.endsWith('/models/mine')) return answer;
    reads += 1;
    const status = reads < 2 ? {} : { conditions: [{ type: 'Pinned', status: 'True' }] };
    return { body: { ...(answer.body as object), status } };
  };
  const printed = await run(['model', 'add', 'mine', join(folder, 'mine.gguf'), '--context-length', '512']);
  assert.match(printed.out, /Model mine is added\. .*stoker chat mine/);
  assert.deepEqual(store.objects.get('models/mine')?.spec, {
    servedName: 'mine',
    version: { weights: { file: { path: join(folder, 'mine.gguf') } }, contextLength: 512 },
    pools: ['default'],
  });
  assert.match((await run(['model', 'add', 'mine', join(folder, 'mine.gguf')])).err, /already exists/);
});

test('model add refuses what it can see is wrong before anything is made', async () => {
  writeFileSync(join(folder, 'text.gguf'), 'no');
  const path = join(folder, 'real.gguf');
  writeFileSync(path, 'GGUF');
  assert.match(
    (await run(['model', 'add', 'm', join(folder, 'absent.gguf')])).err,
    /absent\.gguf cannot be read: ENOENT/,
  );
  assert.match((await run(['model', 'add', 'm', join(folder, 'text.gguf')])).err, /text\.gguf is not a GGUF file/);
  assert.match((await run(['model', 'add', 'm', folder])).err, /cannot be read: EISDIR/);
  assert.match((await run(['model', 'add', 'm', path])).err, /There is no pool named default/);
  assert.equal(store.objects.size, 0);
});

test('model add passes on why the weights cannot be pinned', async () => {
  await run(['apply', '-f', file('a.yaml', pool('default'))]);
  writeFileSync(join(folder, 'odd.gguf'), 'GGUF');
  server.onCall = (call) => {
    const answer = store.answer(call);
    const status = { conditions: [{ type: 'Pinned', status: 'False', message: 'the file ends early' }] };
    return call.path.endsWith('/models/odd') ? { body: { ...(answer.body as object), status } } : answer;
  };
  const printed = await run(['model', 'add', 'odd', join(folder, 'odd.gguf')]);
  assert.match(printed.err, /Model odd was added, but cannot be served: the file ends early/);
  assert.equal(printed.exitCode, 1);
});

test('explain scale shows the sentence and every term of the controller', async () => {
  const explanation = {
    model: 'demo',
    sentence: '1 awake: a request waits.',
    desired: 1,
    ageMs: 1500,
    terms: [{ name: 'queued', value: 2, meaning: 'requests that wait' }],
  };
  const asked: (string | undefined)[] = [];
  const controller = createServer((request, response) => {
    asked.push(request.headers.authorization);
    const known = request.url === '/explain/scale/demo';
    if (request.url === '/explain/scale/standby') {
      response.writeHead(503).end('This replica stands by. \u001b[2Jone leads: ask that one.\n');
      return;
    }
    response.writeHead(known ? 200 : 404).end(JSON.stringify(explanation));
  });
  await new Promise<void>((resolve) => controller.listen(0, '127.0.0.1', resolve));
  writeFileSync(join(folder, 'token'), 'secret\n');
  const environment = {
    STOKER_CONTROLLER_URL: `http://127.0.0.1:${(controller.address() as AddressInfo).port}`,
    STOKER_CONTROLLER_TOKEN_FILE: join(folder, 'token'),
  };
  try {
    const shown = await run(['explain', 'scale', 'demo'], environment);
    assert.match(
      shown.out,
      /^demo: 1 awake: a request waits\. \(decided 1\.5 s ago\)\n\nTERM +VALUE +MEANING\nqueued +2 +requests that wait\n$/,
    );
    assert.deepEqual(JSON.parse((await run(['explain', 'scale', 'demo', '-o', 'json'], environment)).out), explanation);
    assert.match((await run(['explain', 'scale', 'x'], environment)).err, /no decision about a model named x/);
    const standing = (await run(['explain', 'scale', 'standby'], environment)).err;
    assert.match(
      standing,
      /^(?:stoker: )?http:\/\/127\.0\.0\.1:\d+ answered: This replica stands by\. \[2Jone leads: ask that one\.\n$/,
    );
    assert.deepEqual(new Set(asked), new Set(['Bearer secret']));
  } finally {
    controller.closeAllConnections();
    controller.close();
  }
  assert.match((await run(['explain', 'scale', 'demo'], environment)).err, /controller at .* does not answer /);
  const tokenless = { ...environment, STOKER_CONTROLLER_TOKEN_FILE: join(folder, 'absent') };
  assert.match((await run(['explain', 'scale', 'demo'], tokenless)).err, /token .*absent cannot be read: ENOENT/);
});

test('commands for the Stoker of this folder say when there is none', async () => {
  const environment = { STOKER_DATA_DIR: join(folder, 'nowhere') };
  assert.match((await run(['explain', 'scale', 'demo'], environment)).err, /No Stoker was found here/);
  assert.match((await run(['chat', 'demo', 'Hello'], environment)).err, /No Stoker was found here/);
  writeFileSync(join(folder, 'addresses.json'), '{}');
  assert.match((await run(['chat', 'demo', 'Hello'], { STOKER_DATA_DIR: folder })).err, /another release of Stoker/);
});

test('chat takes the address as the official clients do, with /v1, and the key of the environment', async () => {
  const asked: (string | undefined)[] = [];
  const api = createServer((request, response) => {
    asked.push(request.url, request.headers.authorization);
    response.end('data: {"choices":[{"delta":{"content":"Hello"}}]}\n\ndata: [DONE]\n\n');
  });
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  try {
    const url = `http://127.0.0.1:${(api.address() as AddressInfo).port}/v1/`;
    const printed = await run(['chat', 'demo', 'Hi', 'there', '--url', url], { STOKER_API_KEY: 'k1' });
    assert.equal(printed.out, 'Hello\n');
    assert.deepEqual(asked, ['/v1/chat/completions', 'Bearer k1']);
  } finally {
    api.closeAllConnections();
    api.close();
  }
});
