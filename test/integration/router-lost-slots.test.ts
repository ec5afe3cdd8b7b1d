// Slots that leave the table while requests are there: those that drain end what they have, and those that are gone do not keep
// their callers until a deadline.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { request } from 'undici';
import { createManualClock, type ManualClock } from '../../src/lib/clock.ts';
import { chatAnswer, type FakeSlot, startFakeSlot } from '../support/fake-slot.ts';
import { type RunningRouter, startRouter } from '../support/running-router.ts';
import { until } from '../support/until.ts';

const question = { model: 'demo', messages: [{ role: 'user', content: 'Hello!' }] };

describe('a slot that leaves the table', () => {
  let clock: ManualClock;
  let slot: FakeSlot;
  let other: FakeSlot;
  let router: RunningRouter;
  beforeEach(async () => {
    clock = createManualClock();
    [slot, other, router] = await Promise.all([startFakeSlot(), startFakeSlot(), startRouter({ clock })]);
    router.table({ endpoints: [{ address: slot.address }] });
    other.onCall = (call) => {
      if (call.body.includes('"stream":true')) call.stream('other');
      else call.json(chatAnswer(call.responseId, 'other'));
    };
  });
  afterEach(async () => {
    await slot.close();
    await other.close();
    await router.close();
  });
  const post = (body: object) =>
    request(`${router.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  /** The text of the answer. */
  const ask = async (body: object) => (await post(body)).body.text();
  const showOther = () =>
    router.table({ endpoints: [{ address: other.address, podUid: 'pod-9', instance: 'pod-9/demo-1/1' }] });
  /** Connections are real: time passes slowly enough for them. */
  const passUntil = (condition: () => boolean, what: string) =>
    until(() => {
      clock.advance(1);
      return condition();
    }, what);

  for (const stream of [false, true]) {
    test(`and is gone gives back a request that has had no content${stream ? ' of a stream' : ''}`, async () => {
      if (stream) slot.onCall = (call) => call.frame('role', { choices: [{ index: 0, delta: { role: 'assistant' } }] });
      const answer = ask({ ...question, stream });
      await until(() => slot.calls.length > 0, 'the slot has it');
      slot.shut();
      showOther();
      await passUntil(() => other.calls.length > 0, 'the other slot has it');
      assert.match(await answer, /other/);
      const line = await router.ended('served');
      assert.equal(line.attempts, 2);
      assert.ok(Number(line.totalMs) < 30_000, `${line.totalMs} ms`);
    });
  }

  test('and drains ends what it has', async () => {
    const answer = ask(question);
    await until(() => slot.calls.length > 0, 'the slot has it');
    let dials = 0;
    slot.onConnection = () => {
      dials += 1;
    };
    showOther();
    await passUntil(() => dials > 5, 'it is dialled again and again');
    slot.calls[0]?.json(chatAnswer(slot.calls[0].responseId, 'drained'));
    assert.match(await answer, /drained/);
    assert.equal((await router.ended('served')).attempts, 1);
    assert.equal(other.calls.length, 0);
  });

  test('and is gone after content was sent is not asked elsewhere', async () => {
    slot.onCall = (call) => call.content('half');
    const answer = ask({ ...question, stream: true });
    await until(() => slot.calls.length > 0, 'the slot has it');
    slot.shut();
    showOther();
    await passUntil(() => router.lines.some(({ outcome }) => outcome === 'deadline_exceeded'), 'its deadline');
    assert.match(await answer, /half[\s\S]*deadline_exceeded/);
    assert.equal(other.calls.length, 0);
  });
});
