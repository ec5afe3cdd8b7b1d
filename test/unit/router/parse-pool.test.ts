import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { createBodyParser } from '../../../src/router/stage/parse-pool.ts';

const body = Buffer.from('{"model":"a","stream":true,"messages":[{"role":"user","content":"x"}]}');

describe('parsing bodies', () => {
  test('says the same in the worker as here', async (t) => {
    const here = createBodyParser(1e9);
    const there = createBodyParser(0);
    t.after(() => there.stop());
    const wrong = Buffer.from('{"model":"a","messages":[]}');
    for (const bytes of [body, wrong, Buffer.from([0xff])]) {
      assert.deepEqual(await there.parse(bytes, 'chat'), await here.parse(bytes, 'chat'));
    }
  });

  test('many at a time each get their own answer', async (t) => {
    const there = createBodyParser(0);
    t.after(() => there.stop());
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        there.parse(Buffer.from(`{"model":"m${index}","prompt":"x"}`), 'completions'),
      ),
    );
    assert.deepEqual(
      results.map((result) => result.ok && result.value.fields.model),
      Array.from({ length: 20 }, (_, index) => `m${index}`),
    );
  });

  test('the worker has the copy of one body at a time', async (t) => {
    const there = createBodyParser(0);
    t.after(() => there.stop());
    const { mock } = t.mock.method(Worker.prototype, 'postMessage');
    const first = there.parse(body, 'chat');
    const others = Array.from({ length: 5 }, () => there.parse(body, 'chat'));
    assert.equal(mock.callCount(), 1);
    await first;
    for (const other of others) assert.ok((await other).ok);
    assert.equal(mock.callCount(), 6);
  });

  test('a worker that is gone ends what it had, and the next body starts another', async (t) => {
    const there = createBodyParser(0);
    t.after(() => there.stop());
    const lost = there.parse(body, 'chat');
    await Promise.all([there.stop(), assert.rejects(lost, /could not be parsed/)]);
    assert.equal((await there.parse(body, 'chat')).ok, true);
  });
});
