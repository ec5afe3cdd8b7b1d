// The router's way from a caller to an instance and back, against scripted instances: streams, JSON answers, holds, retries,
// aborts, and who is never sent anything.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { request } from 'undici';
import { slotKey } from '../support/fake-hub.ts';
import { chatAnswer, type FakeSlot, startFakeSlot, usage } from '../support/fake-slot.ts';
import { type RunningRouter, startRouter } from '../support/running-router.ts';
import { until } from '../support/until.ts';

const question = { model: 'demo', messages: [{ role: 'user', content: 'Hello!' }] };

function post(
  router: RunningRouter,
  body: object | string,
  headers: Record<string, string> = {},
  signal?: AbortSignal,
) {
  return request(`${router.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}

function dataLines(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => line.slice(6));
}

describe('a request to an awake model', () => {
  let slot: FakeSlot;
  let router: RunningRouter;
  before(async () => {
    slot = await startFakeSlot();
    router = await startRouter();
  });
  after(async () => {
    await router.close();
    await slot.close();
  });
  beforeEach(() => {
    slot.calls.length = 0;
    router.lines.length = 0;
    router.table({ endpoints: [{ address: slot.address }] });
  });

  test('streams the frames as they came, without usage that nobody asked for', async () => {
    slot.onCall = (call) => call.stream('Hel', 'lo');
    const answer = await post(router, { ...question, stream: true });
    assert.equal(answer.statusCode, 200);
    assert.match(String(answer.headers['content-type']), /^text\/event-stream/);
    assert.equal(answer.headers['x-stoker-model'], 'demo');
    assert.equal(answer.headers['x-stoker-revision'], 'demo-1');
    assert.equal(answer.headers['x-stoker-attempts'], '1');
    const lines = dataLines(await answer.body.text());
    assert.equal(lines.length, 5);
    assert.equal(lines.at(-1), '[DONE]');
    assert.equal(
      lines.some((line) => line.includes('"usage"')),
      false,
    );
    const line = await router.ended('served');
    assert.equal(line.usageOut, 2);
    assert.equal(line.attempts, 1);
  });

  test('usage comes when it is asked for, and the engine is always asked for it', async () => {
    slot.onCall = (call) => call.stream('a');
    const answer = await post(router, { ...question, stream: true, stream_options: { include_usage: true } });
    const lines = dataLines(await answer.body.text());
    assert.deepEqual(JSON.parse(lines.at(-2) ?? '').usage, usage);
    await (await post(router, { ...question, stream: true, other: 'kept' })).body.dump();
    const sent = JSON.parse(slot.calls.at(-1)?.body ?? '');
    assert.deepEqual(sent, { ...question, stream: true, other: 'kept', stream_options: { include_usage: true } });
  });

  test('a JSON answer passes byte for byte, and its request as well', async () => {
    slot.onCall = (call) => call.json(chatAnswer(call.responseId, 'Hi'));
    const body = `{ "messages" : [{"role":"user","content":"x"}],\n "model":"demo", "unknown_field": {"a": [1, 2]}}`;
    const answer = await post(router, body);
    assert.equal(answer.statusCode, 200);
    assert.match(String(answer.headers['x-request-id']), /^req_/);
    const text = await answer.body.text();
    assert.equal(text, JSON.stringify(chatAnswer(slot.calls[0]?.responseId ?? '', 'Hi')));
    assert.equal(slot.calls[0]?.body, body);
    assert.equal(slot.calls[0]?.request.headers.authorization, `Bearer ${slotKey}`);
    assert.equal(slot.calls[0]?.instance, 'pod-0/demo-1/1');
    assert.ok(Number(slot.calls[0]?.request.headers['x-stoker-remaining-ms']) > 500_000);
  });

  test('a caller who leaves ends the request at the instance', async () => {
    slot.onCall = (call) => call.content('one');
    const leaving = new AbortController();
    const answer = await post(router, { ...question, stream: true }, {}, leaving.signal);
    await new Promise((resolve) => answer.body.once('data', resolve));
    answer.body.on('error', () => {});
    leaving.abort();
    await slot.calls[0]?.aborted;
    await router.ended('client_gone');
    await router.demanded((demand) => demand.inFlight === 0, 'nothing in flight');
  });

  test('an answer is over with its last frame, though the instance has yet to end its own', async () => {
    slot.onCall = (call) => {
      call.content('whole');
      call.frame('finish', { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
      call.frame('usage', { choices: [], usage });
      call.frame('done', '[DONE]');
    };
    const answer = await post(router, { ...question, stream: true });
    const text = answer.body.text();
    const line = await router.ended('served');
    assert.equal(line.usageOut, 2);
    assert.match(await text, /whole[\s\S]*\[DONE\]\n\n$/);
    await router.demanded((demand) => demand.inFlight === 0, 'nothing in flight');
    // What is left is read, and the connection takes the next request.
    slot.calls[0]?.response.end();
    await until(() => slot.calls[0]?.response.writableFinished === true, 'the instance has ended its answer');
    slot.onCall = (call) => call.json(chatAnswer(call.responseId, 'Hi'));
    await (await post(router, question)).body.dump();
    assert.equal(slot.calls[1]?.request.socket, slot.calls[0]?.request.socket);
  });

  test('a cut instance ends a stream with one error frame and no [DONE]', async () => {
    slot.onCall = (call) => {
      call.content('half');
      setImmediate(() => call.cut());
    };
    const answer = await post(router, { ...question, stream: true });
    const lines = dataLines(await answer.body.text());
    assert.equal(lines.length, 2);
    assert.equal(JSON.parse(lines[1] ?? '').error.code, 'upstream_failed');
    await router.ended('upstream_failed');
  });

  test('a failure before content is tried again, and leaves no trace', async () => {
    slot.onCall = (call) => {
      if (slot.calls.length > 1) return call.stream('whole');
      call.frame('role', { choices: [{ index: 0, delta: { role: 'assistant', content: 'lost' } }] });
      setImmediate(() => call.cut());
    };
    const answer = await post(router, { ...question, stream: true });
    const text = await answer.body.text();
    assert.equal(answer.headers['x-stoker-attempts'], '2');
    assert.doesNotMatch(text, /lost/);
    assert.match(text, /whole/);
    assert.equal(dataLines(text).at(-1), '[DONE]');
    assert.equal(slot.calls[0]?.responseId, slot.calls[1]?.responseId);
  });

  test('a refusal is neither an attempt nor a failure', async () => {
    slot.onCall = (call) =>
      slot.calls.length < 4 ? call.refuse('Full') : call.json(chatAnswer(call.responseId, 'Hi'));
    const answer = await post(router, question);
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.headers['x-stoker-attempts'], '1');
    await answer.body.dump();
    assert.equal((await router.ended('served')).refusals, 3);
  });

  test('an address where nobody listens costs no attempt: the request waits for another', async () => {
    const gone = await startFakeSlot();
    await gone.close();
    slot.onCall = (call) => call.json(chatAnswer(call.responseId, 'Hello!'));
    // More of them than the budget has retries.
    router.table({ endpoints: [{ address: gone.address, share: 16 }] });
    const answers = Array.from({ length: 12 }, () => post(router, question));
    await router.demanded(({ queued }) => queued === 12, 'all of them wait');
    router.table({ endpoints: [{ instance: 'pod-2/demo-1/1', podUid: 'pod-2', address: slot.address, share: 16 }] });
    for (const answer of await Promise.all(answers)) {
      assert.equal(answer.statusCode, 200);
      assert.equal(answer.headers['x-stoker-attempts'], '1');
      await answer.body.dump();
    }
  });

  test('a stale key waits for a newer one', async () => {
    const newKey = 'cd'.repeat(32);
    slot.onCall = (call) => {
      if (call.request.headers.authorization !== `Bearer ${newKey}`) {
        call.refuse('StaleKey');
        router.table({
          endpoints: [{ address: slot.address }],
          keys: [{ podUid: 'pod-0', version: 2, key: newKey }],
        });
        return;
      }
      call.json(chatAnswer(call.responseId, 'Hi'));
    };
    const answer = await post(router, question);
    assert.equal(answer.statusCode, 200);
    await answer.body.dump();
    assert.equal(slot.calls.length, 2);
  });

  test('what the engine says about the request itself is passed on', async () => {
    slot.onCall = (call) => call.error(400, 'context_length_exceeded', 'The prompt is too long.');
    const answer = await post(router, question);
    assert.equal(answer.statusCode, 400);
    const { error } = (await answer.body.json()) as { error: { message: string; code: string } };
    assert.equal(error.message, 'The prompt is too long.');
    assert.equal(error.code, 'context_length_exceeded');
    await router.ended('context_length_exceeded');
    assert.equal(slot.calls.length, 1);
  });
});

describe('a request to a cold model', () => {
  let slot: FakeSlot;
  let router: RunningRouter;
  beforeEach(async () => {
    slot = await startFakeSlot();
    router = await startRouter();
    slot.onCall = (call) => call.stream('awake');
  });
  const close = async () => {
    await router.close();
    await slot.close();
  };

  test('is held, told so in the stream, and served when the model wakes', async (t) => {
    t.after(close);
    router.table({ warmth: [{ rung: 'Asleep', etaMs: 1200 }] });
    const answer = await post(router, { ...question, stream: true });
    assert.equal(answer.statusCode, 200);
    assert.equal(answer.headers['x-stoker-eta-ms'] !== undefined, true);
    await router.demanded((demand) => demand.queued === 1 && demand.arrivals === 1, 'one request queued');
    let text = '';
    answer.body.on('data', (bytes: Buffer) => {
      text += bytes.toString('utf8');
    });
    const ended = new Promise((resolve) => answer.body.once('end', resolve));
    await until(() => text.includes('\n\n'), 'a progress comment');
    assert.match(text, /^: stoker model demo is waking, about \d/);
    router.table({ endpoints: [{ address: slot.address }], warmth: [{ rung: 'Awake', etaMs: 0 }] });
    await ended;
    const lines = dataLines(text);
    assert.equal(JSON.parse(lines[1] ?? '').stoker.revision, 'demo-1');
    assert.equal(lines.at(-1), '[DONE]');
    const line = await router.ended('served');
    assert.ok(Number(line.queueMs) > 0);
  });

  test('Ctrl-C while it is held ends it with an error event, quickly', async () => {
    router.table({ warmth: [{ etaMs: 5000 }] });
    const answer = await post(router, { ...question, stream: true });
    const text = answer.body.text();
    await router.close(8000);
    await slot.close();
    const lines = dataLines(await text);
    assert.equal(lines.length, 1);
    assert.equal(JSON.parse(lines[0] ?? '').error.code, 'draining');
  });
});
