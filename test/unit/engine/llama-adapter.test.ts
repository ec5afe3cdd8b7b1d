// The adapter with scripted server processes in the place of the real one: every way a process can disappoint it.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { EngineError } from '../../../src/engine/engine-error.ts';
import { createFileDigests } from '../../../src/engine/file-digest.ts';
import { createGroupRecords } from '../../../src/engine/group-records.ts';
import { createLlamaAdapter } from '../../../src/engine/llama-adapter.ts';
import { llamaBuild } from '../../../src/engine/llama-build.ts';
import { findMembers } from '../../../src/engine/proc.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import type { EngineProcess } from '../../../src/ports/engine.ts';
import { launchOf } from '../../support/fake-hub.ts';

const folder = mkdtempSync(join(tmpdir(), 'stoker-adapter-'));
const weightsPath = join(folder, 'weights.gguf');
writeFileSync(weightsPath, 'weights');
const launch = launchOf('a', {
  weightsPath,
  weightsSizeBytes: 7,
  weightsSha256: createHash('sha256').update('weights').digest('hex'),
});
const { signal } = new AbortController();
let serial = 0;

/** A server process that listens, says so, and answers by `routes` (JavaScript, an object of path to function). */
function server(routes: string, states = "say({ type: 'state', state: 'ready' });"): string {
  return `
    import { createServer } from 'node:http';
    const say = (line) => process.stdout.write(JSON.stringify(line) + '\\n');
    const json = (response, body, status = 200) => response.writeHead(status).end(JSON.stringify(body));
    const health = (state, stepMs = 0) => (request, response) => json(response, { state, draining: false, batches: 0, stepMs, busy: 0, queued: 0 });
    const routes = ${routes};
    const { key } = JSON.parse(await new Promise((resolve) => process.stdin.once('data', (bytes) => resolve(String(bytes)))));
    const server = createServer((request, response) => {
      if (request.headers.authorization !== 'Bearer ' + key) return json(response, {}, 401);
      routes[request.url](request, response);
    });
    process.stdout.write('noise that is not ours\\n{"type":"other"}\\n');
    server.listen(0, '127.0.0.1', () => {
      say({ type: 'listening', port: server.address().port });
      ${states}
    });`;
}

describe('the adapter of the built-in engine', { timeout: 30_000 }, () => {
  let instance = '';
  let started: EngineProcess | undefined;
  beforeEach(() => {
    serial += 1;
    instance = `test-${process.pid}/adapter/${serial}`;
  });
  afterEach(async () => {
    await started?.stop(0);
    started = undefined;
    assert.deepEqual(await findMembers({ instance }), []);
  });
  after(() => rmSync(folder, { recursive: true }));

  const start = async (program: string, given: AbortSignal = signal, changes: Partial<typeof launch> = {}) => {
    const entry = join(folder, `${serial}.mjs`);
    writeFileSync(entry, program);
    const adapter = createLlamaAdapter({
      threads: 1,
      digests: createFileDigests(),
      records: createGroupRecords(folder, silentLog),
      environment: {},
      clock: systemClock,
      entry,
    });
    started = await adapter.start(instance, { ...launch, ...changes }, given);
    return started;
  };
  const failureOf = async (promise: Promise<unknown>) => {
    const error = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof EngineError, String(error));
    return error;
  };

  test('starts nothing when the weights are not the pinned ones', async () => {
    const error = await failureOf(start('', signal, { weightsSha256: 'f'.repeat(64) }));
    assert.equal(error.reason, 'WeightsChanged');
    assert.equal((await failureOf(start('', signal, { weightsPath: '/nowhere.gguf' }))).reason, 'WeightsMissing');
  });

  test('says how a process ended that never listened', async () => {
    const error = await failureOf(start("process.stderr.write('no such device', () => process.exit(4));"));
    assert.equal(error.reason, 'EngineExited');
    assert.match(error.message, /ended with code 4: no such device/);
  });

  test('ends the process when the start is given up', async () => {
    const controller = new AbortController();
    const starting = start('setInterval(() => {}, 1000); process.stdin.resume();', controller.signal);
    const given = assert.rejects(starting, /given up/);
    while ((await findMembers({ instance })).length === 0);
    controller.abort(new Error('given up'));
    await given;
  });

  test('waits until the model is loaded, and passes on why it is not', async () => {
    const failing =
      "say({ type: 'state', state: 'loading' }); say({ type: 'state', state: 'failed', reason: 'The file is cut.' });";
    const process = await start(server('{}', failing));
    const error = await failureOf(process.whenLoaded(signal));
    assert.equal(error.reason, 'LoadFailed');
    assert.equal(error.message, 'The file is cut.');
  });

  test('stops waiting when the process ends while it loads', async () => {
    const process = await start(server('{}', "setTimeout(() => process.kill(process.pid, 'SIGKILL'), 20);"));
    const error = await failureOf(process.whenLoaded(signal));
    assert.match(error.message, /ended by SIGKILL/);
  });

  test('asks for the state when the answer to an order is lost, and never repeats the order', async () => {
    const routes = `{ sleeps: 0, '/sleep'(request) { routes.sleeps += 1; request.socket.destroy(); },
      '/health'(request, response) { health(routes.sleeps === 1 ? 'asleep' : 'failed')(request, response); } }`;
    const process = await start(server(routes));
    await process.whenLoaded(signal);
    await process.sleep(2, signal);
  });

  test('reports an order as failed when the state is another one', async () => {
    const routes = `{ '/wake_up'(request) { request.socket.destroy(); }, '/health': health('asleep') }`;
    const process = await start(server(routes));
    assert.equal((await failureOf(process.wake(signal))).reason, 'EngineUnreachable');
  });

  test('does not ask when the engine itself said no', async () => {
    const process = await start(server(`{ '/sleep'(request, response) { json(response, { error: 'busy' }, 409); } }`));
    const error = await failureOf(process.sleep(2, signal));
    assert.equal(error.reason, 'SleepFailed');
    assert.match(error.message, /409/);
  });

  test('does not wake an engine whose file changed', async () => {
    const process = await start(server('{}'));
    writeFileSync(weightsPath, 'another');
    const error = await failureOf(process.wake(signal));
    writeFileSync(weightsPath, 'weights');
    assert.equal(error.reason, 'WeightsChanged');
  });

  test('probes, identifies, measures; refuses answers that make no sense or are too long', async () => {
    const routes = `{ '/probe'(request, response) { json(response, { tokenIds: [1], logprobs: ['-0.5'] }); },
      '/identity'(request, response) { json(response, { engine: 'llama', build: 'ab'.repeat(16), model: null }); },
      '/sleep'(request, response) { response.end('{"tookMs":"x"}'); },
      '/wake_up'(request, response) { response.end('x'.repeat(100000)); }, '/health': health('loading') }`;
    const process = await start(server(routes));
    assert.deepEqual(await process.probe(signal), { tokenIds: [1], logprobs: ['-0.5'] });
    assert.deepEqual(await process.identity(signal), { build: 'builtin:abababababab' });
    assert.ok((await process.memory()).residentBytes > 1_000_000);
    assert.match((await failureOf(process.sleep(1, signal))).message, /makes no sense/);
    assert.equal((await failureOf(process.wake(signal))).reason, 'EngineUnreachable');
  });

  test('checks that it answers and that no step stands still', async () => {
    const process = await start(server(`{ '/health': health('ready', 119_000) }`));
    await process.check(signal);
    await process.stop(0);
    serial += 1;
    const stuck = await start(server(`{ '/health': health('ready', 121_000) }`));
    assert.match((await failureOf(stuck.check(signal))).message, /one step has taken 121 s/);
  });

  test('the build has the form of a pin', async () => {
    assert.match(await llamaBuild(), /^builtin:[0-9a-f]{12}$/);
  });
});
