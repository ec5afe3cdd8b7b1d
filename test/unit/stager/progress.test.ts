// How far a stager is: what is told arrives over HTTP and by file, and whatever else comes counts as nothing.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { kinds, type Pod } from '../../../src/api/kinds.ts';
import { createManualClock, systemClock } from '../../../src/lib/clock.ts';
import {
  createFileProgress,
  createServedProgress,
  parseProgress,
  serveProgress,
  writeProgress,
} from '../../../src/stager/progress.ts';

const digest = 'd'.repeat(64);
const { signal } = new AbortController();
const pod = (podIP?: string): Pod => ({
  apiVersion: 'v1',
  kind: kinds.Pod.kind,
  metadata: { name: 'stager' },
  spec: { containers: [] },
  ...(podIP === undefined ? {} : { status: { podIP } }),
});

describe('over HTTP', () => {
  test('the last figures are told, and nothing before the first', async () => {
    const served = await serveProgress({ port: 0, host: '127.0.0.1' });
    const reader = createServedProgress(systemClock, served.port);
    const read = () => reader.read({ pod: pod('127.0.0.1'), digest }, signal);
    assert.equal(await read(), undefined);
    served.tell(1, 10);
    served.tell(4, 10);
    assert.deepEqual(await read(), { doneBytes: 4, totalBytes: 10 });
    await served.close();
    assert.equal(await read(), undefined);
    assert.equal(await reader.read({ pod: pod(), digest }, signal), undefined);
  });

  test('an answer without an end is left, and one that never comes is waited for a moment', async () => {
    const server = createServer((request, response) => {
      if (request.headers.host?.startsWith('127.0.0.1') === true) response.end('['.repeat(100_000));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const reader = createServedProgress(systemClock, port);
    assert.equal(await reader.read({ pod: pod('127.0.0.1'), digest }, signal), undefined);
    server.removeAllListeners('request');
    const clock = createManualClock();
    const asked = new Promise((resolve) => server.once('request', resolve));
    const silent = createServedProgress(clock, port).read({ pod: pod('127.0.0.1'), digest }, signal);
    await asked;
    clock.advance(2000);
    assert.equal(await silent, undefined);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('by file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'stoker-progress-'));
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('the figures are there while it works, and gone when it ends', async () => {
    const clock = createManualClock();
    const teller = writeProgress(folder, digest, clock);
    const reader = createFileProgress(folder);
    const read = () => reader.read({ pod: pod(), digest }, signal);
    assert.equal(await read(), undefined);
    teller.tell(3, 10);
    teller.tell(5, 10);
    while ((await read()) === undefined) await new Promise(setImmediate);
    assert.deepEqual(await read(), { doneBytes: 3, totalBytes: 10 });
    clock.advance(1000);
    teller.tell(7, 10);
    while ((await read())?.doneBytes === 3) await new Promise(setImmediate);
    assert.deepEqual(await read(), { doneBytes: 7, totalBytes: 10 });
    await teller.close();
    assert.equal(await read(), undefined);
    assert.deepEqual(readdirSync(join(folder, '.partial')), []);
  });

  test('a file that is too large counts as nothing', async () => {
    mkdirSync(join(folder, '.partial'), { recursive: true });
    writeFileSync(join(folder, '.partial', `${digest}.progress`), `{"doneBytes":1,"totalBytes":2}${' '.repeat(2000)}`);
    assert.equal(await createFileProgress(folder).read({ pod: pod(), digest }, signal), undefined);
  });
});

test('whatever is said, only two sound figures count', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      const parsed = parseProgress(text);
      if (parsed !== undefined) assert.ok(parsed.doneBytes >= 0 && parsed.doneBytes <= parsed.totalBytes);
    }),
  );
  for (const text of ['{"doneBytes":3,"totalBytes":2}', '{"doneBytes":-1,"totalBytes":2}', '{"doneBytes":1e400}', '1'])
    assert.equal(parseProgress(text), undefined, text);
  assert.deepEqual(parseProgress('{"doneBytes":1,"totalBytes":2,"x":1}'), { doneBytes: 1, totalBytes: 2 });
});
