// How the model server process ends: by its signals, by its pipe, by a wrong configuration. And what a bad file does to it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  ask,
  demoModel,
  endless,
  isReadyLine,
  readStream,
  serverEntry,
  startModelServer,
  untilHealth,
} from '../support/model-server.ts';

let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'engine-llama-'));
});

after(() => rm(folder, { recursive: true }));

test('SIGTERM: not ready, new ones refused, a running answer is finished, exit 0', async () => {
  const own = await startModelServer({ drainMs: 10_000, concurrency: 2 });
  await own.until(isReadyLine);
  const running = await own.call('/v1/chat/completions', endless({ max_tokens: 300, seed: 3 }));
  const exited = once(own.child, 'exit');
  own.child.kill('SIGTERM');
  await untilHealth(own, (answer) => answer.draining);
  const refused = await own.call('/v1/chat/completions', ask('hello'));
  assert.equal(refused.status, 503);
  assert.equal(((await refused.json()) as { error: { code: string } }).error.code, 'draining');
  assert.equal((await own.call('/ready')).status, 503);
  const answer = await readStream(running);
  assert.equal(answer.done, true);
  assert.deepEqual(await exited, [0, null]);
});

test('SIGTERM past its time: the answer is cut with an error event and no [DONE], exit 0', async () => {
  const own = await startModelServer({ drainMs: 0, concurrency: 1 });
  await own.until(isReadyLine);
  const running = await own.call('/v1/chat/completions', endless());
  const exited = once(own.child, 'exit');
  const answer = await readStream(running, () => own.child.kill('SIGTERM'));
  assert.equal(answer.done, false);
  assert.equal(answer.chunks.at(-1)?.error?.code, 'draining');
  assert.deepEqual(await exited, [0, null]);
});

test('the process ends with its parent: standard input closes, also while it answers', async () => {
  const own = await startModelServer({ concurrency: 1 });
  await own.until(isReadyLine);
  const running = await own.call('/v1/chat/completions', endless());
  const exited = once(own.child, 'exit');
  const beganMs = performance.now();
  own.child.stdin?.end();
  assert.deepEqual(await exited, [0, null]);
  assert.ok(performance.now() - beganMs < 10_000);
  await running.body?.cancel().catch(() => {});
});

test('a wrong configuration ends the process with a sentence that does not repeat the key', async () => {
  const child = spawn(process.execPath, [serverEntry], { stdio: ['pipe', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += String(chunk);
  });
  child.stdin.write(`${JSON.stringify({ key: 'secret-secret-secret' })}\n`);
  assert.deepEqual(await once(child, 'exit'), [2, null]);
  assert.match(said, /configuration is wrong at instance/);
  assert.doesNotMatch(said, /secret/);
});

test('a bad model file is a failed state with a plain reason; the process stays, and a good file wakes it', async () => {
  const modelPath = join(folder, 'model.gguf');
  const own = await startModelServer({ modelPath, concurrency: 2 });
  await own.until((line) => line.type === 'state' && line.state === 'failed');
  const demo = await readFile(demoModel);
  const reason = async () => {
    const response = await own.call('/wake_up', { method: 'POST' });
    assert.equal(response.status, 503);
    const { error } = (await response.json()) as { error: { code: string; message: string } };
    assert.equal(error.code, 'model_failed');
    return error.message;
  };
  assert.match(await reason(), /cannot be read \(ENOENT\)/);
  await writeFile(modelPath, '');
  assert.match(await reason(), /is empty/);
  await writeFile(modelPath, 'garbage in a file');
  assert.match(await reason(), /not a GGUF file/);
  await writeFile(modelPath, Buffer.concat([Buffer.from('GGUF'), Buffer.alloc(4096, 0xab)]));
  assert.match(await reason(), /could not be loaded/);
  for (const share of [0.001, 0.01, 0.5, 0.999]) {
    await writeFile(modelPath, demo.subarray(0, Math.floor(demo.length * share)));
    assert.match(await reason(), /could not be loaded/);
  }
  await writeFile(modelPath, withPooling(demo));
  assert.match(await reason(), /embedding model/);
  const down = (await (await own.call('/ready')).json()) as { state: string; reason?: string };
  assert.equal(down.state, 'failed');
  assert.match(down.reason ?? '', /embedding model/);
  assert.equal((await own.call('/v1/chat/completions', ask('hello'))).status, 503);
  await copyFile(demoModel, modelPath);
  assert.equal((await own.call('/wake_up', { method: 'POST' })).status, 200);
  const answer = await own.call('/v1/chat/completions', ask('hello', { max_tokens: 5 }));
  assert.equal(answer.status, 200);
  assert.deepEqual(own.noise, []);
  await own.stop();
});

/** The demo model with `llama.pooling_type` set. The second key fills up to 64 bytes, so that the tensors stay aligned. */
function withPooling(demo: Buffer): Buffer {
  const header = Buffer.from(demo.subarray(0, 24));
  header.writeBigUInt64LE(header.readBigUInt64LE(16) + 2n, 16);
  const pair = (key: string, value: number) => {
    const bytes = Buffer.alloc(16 + key.length);
    bytes.writeBigUInt64LE(BigInt(key.length), 0);
    bytes.write(key, 8, 'latin1');
    bytes.writeUInt32LE(4, 8 + key.length);
    bytes.writeUInt32LE(value, 12 + key.length);
    return bytes;
  };
  return Buffer.concat([header, pair('llama.pooling_type', 3), pair('filling.zeroes', 0), demo.subarray(24)]);
}
