// The router and a real agent, with a scripted engine behind it: both ends of the data path keep to the same contract.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { request } from 'undici';
import {
  answerJson,
  chunk,
  createFakeEngine,
  type FakeEngine,
  openEvents,
  usageChunk,
} from '../support/fake-engine.ts';
import { wanted } from '../support/fake-hub.ts';
import { podUid, type RunningAgent, startAgent } from '../support/running-agent.ts';
import { type RunningRouter, startRouter } from '../support/running-router.ts';
import { until } from '../support/until.ts';

const question = { model: 'demo', messages: [{ role: 'user', content: 'Hello!' }] };
const whole = [chunk({ role: 'assistant', content: '' }), chunk({ content: 'Hi' }), chunk({}, 'stop'), usageChunk];

describe('router and agent', { timeout: 60_000 }, () => {
  let fake: FakeEngine;
  let agent: RunningAgent;
  let router: RunningRouter;
  before(async () => {
    fake = createFakeEngine();
    agent = await startAgent({ engines: fake.engines, limits: { retryMsBase: 1, retryMsMax: 1 } });
    router = await startRouter();
  });
  after(async () => {
    await router.close();
    await agent.close();
    await fake.close();
  });
  beforeEach(async () => {
    router.lines.length = 0;
    agent.hub.target([wanted('a', 'Awake')]);
    await agent.hub.seen('a', (report) => report.rung === 'Awake' && report.inFlight === 0);
    router.table({ endpoints: [endpoint(4)] });
  });

  const endpoint = (share: number, incarnation = agent.hub.instance('a')?.id ?? '') => ({
    ...{ podUid, share, instance: incarnation, revision: 'a', address: `127.0.0.1:${agent.dataPort}` },
  });
  const post = (body: object, signal?: AbortSignal) =>
    request(`${router.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      ...(signal === undefined ? {} : { signal }),
    });

  test('a stream carries our id and names, and usage only when asked for', async () => {
    fake.behaviour.chat = ({ response }) => {
      openEvents(response);
      response.end(`${whole.join('')}data: [DONE]\n\n`);
    };
    const answer = await post({ ...question, stream: true });
    const chunks = (await answer.body.text()).trim().split('\n\n');
    assert.equal(chunks.pop(), 'data: [DONE]');
    const parsed = chunks.map((line) => JSON.parse(line.slice(6)));
    assert.deepEqual(
      parsed.map(({ choices }) => choices[0].finish_reason),
      [null, null, 'stop'],
    );
    assert.ok(parsed.every(({ id }) => /^chatcmpl-[0-9a-f]{32}$/.test(id) && id === parsed[0].id));
    assert.ok(parsed.every(({ model, system_fingerprint }) => model === 'served-a' && system_fingerprint === 'a'));
    assert.equal((await router.ended('served')).usageOut, 2);
  });

  test('more requests than the agent takes come back and are all served', async () => {
    router.table({ endpoints: [endpoint(8)] });
    fake.behaviour.chat = ({ response }) => setImmediate(() => answerJson(response, { object: 'x', choices: [] }));
    const answers = await Promise.all(Array.from({ length: 32 }, () => post(question)));
    for (const answer of answers) {
      assert.equal(answer.statusCode, 200);
      assert.equal(answer.headers['x-stoker-attempts'], '1');
      await answer.body.dump();
    }
  });

  test('an old incarnation and an old key are refused, and the request waits for the table', async () => {
    fake.behaviour.chat = ({ response }) => answerJson(response, { object: 'x', choices: [] });
    router.table({ endpoints: [endpoint(4, `${podUid}/a/99`)] });
    const stale = post(question);
    await router.demanded((demand) => demand.queued === 1, 'it waits');
    router.table({ endpoints: [endpoint(4)], keys: [{ podUid, version: 1, key: '00'.repeat(32) }] });
    await until(() => (router.demand()?.models[0]?.inFlight ?? 0) === 0, 'refused again');
    router.table({ endpoints: [endpoint(4)] });
    const answer = await stale;
    assert.equal(answer.statusCode, 200);
    await answer.body.dump();
    assert.ok(Number((await router.ended('served')).refusals) >= 1);
  });

  test('a caller who leaves ends the request at the engine', async () => {
    let ended = false;
    fake.behaviour.chat = ({ response }) => {
      response.once('close', () => {
        ended = true;
      });
      openEvents(response);
      response.write(whole[1]);
    };
    const leaving = new AbortController();
    const answer = await post({ ...question, stream: true }, leaving.signal);
    answer.body.on('error', () => {});
    await new Promise((resolve) => answer.body.once('data', resolve));
    leaving.abort();
    await until(() => ended, 'the engine sees its connection close');
    await agent.hub.seen('a', (report) => report.inFlight === 0);
  });

  test('an engine that crashes in the middle ends the stream truthfully', async () => {
    fake.behaviour.chat = ({ response }) => {
      openEvents(response);
      response.write(whole[1]);
    };
    const answer = await post({ ...question, stream: true });
    let text = '';
    answer.body.on('data', (bytes: Buffer) => {
      text += bytes.toString('utf8');
    });
    const ended = new Promise((resolve) => answer.body.once('end', resolve));
    await until(() => text.includes('Hi'), 'the first content');
    await fake.latest().crash();
    await ended;
    assert.match(text, /Hi[\s\S]*data: \{"error":.*"upstream_failed"/);
    assert.doesNotMatch(text, /DONE/);
  });
});
