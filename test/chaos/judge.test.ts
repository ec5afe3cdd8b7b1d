// The judge of chaos runs finds each lie that it is there for, and finds nothing in a run where all is well.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CallEnd } from './chat-call.ts';
import { type JudgedCall, judgeCalls, judgeResidence } from './judge.ts';
import type { RequestLine } from './router-log.ts';

const whole: CallEnd = {
  id: 'c1',
  model: 'm',
  status: 200,
  text: 'The fox sleeps.',
  pieces: 3,
  firstContentMs: 1100,
  lastContentMs: 1200,
  ending: 'whole',
  code: undefined,
  finish: 'stop',
  startedMs: 1000,
  endedMs: 1200,
};

function call(end: Partial<CallEnd>, more: Partial<JudgedCall> = {}): JudgedCall {
  return { end: { ...whole, ...end }, expected: whole.text, deadlineMs: 10_000, isSlow: false, ...more };
}

function line(requestId: string, outcome: string, instance = 'slot-a/m-1/1'): [string, RequestLine[]] {
  return [requestId, [{ requestId, outcome, instance, attempts: 1 }]];
}

const judgeOne = (end: Partial<CallEnd>, outcome: string | undefined, routerDeathsMs: number[] = []) =>
  judgeCalls([call(end)], {
    lines: new Map(outcome === undefined ? [] : [line('c1', outcome)]),
    routerDeathsMs,
  });

test('nothing is wrong with answers that are whole, told to have failed, refused or broken off by a death', () => {
  assert.deepEqual(judgeOne({}, 'served'), []);
  const cut = { ending: 'told', code: 'upstream_failed', text: 'The fox', finish: undefined } as const;
  assert.deepEqual(judgeOne(cut, 'upstream_failed'), []);
  assert.deepEqual(judgeOne({ ending: 'refused', code: 'model_warming', text: '' }, 'model_warming'), []);
  assert.deepEqual(judgeOne({ ending: 'broken', text: 'The' }, undefined, [1100]), []);
  assert.deepEqual(judgeOne({ ending: 'unreachable', text: '' }, undefined, [900]), []);
  assert.deepEqual(judgeOne({ ending: 'cancelled', text: 'The' }, 'client_gone'), []);
});

test('an end that is a lie, or that nobody caused', () => {
  assert.match(judgeOne({ ending: 'untruthful', code: 'it merely stopped' }, 'served')[0] ?? '', /lied/);
  assert.match(judgeOne({ ending: 'broken', text: '' }, 'client_gone')[0] ?? '', /no router had died/);
  assert.match(judgeOne({ ending: 'unreachable', text: '' }, undefined)[0] ?? '', /none had died/);
});

test('text of a damaged model, whole or in part', () => {
  assert.match(judgeOne({ text: 'The fox barks.' }, 'served')[0] ?? '', /differs: at character 8 "barks\."/);
  assert.match(judgeOne({ text: 'The fox' }, 'served')[0] ?? '', /differs/);
  assert.match(judgeOne({ ending: 'cancelled', text: 'A fox' }, 'client_gone')[0] ?? '', /part of the answer differs/);
});

test('requests without an outcome, with two, with another one, or that nobody made', () => {
  assert.match(judgeOne({}, undefined)[0] ?? '', /never settled/);
  assert.match(judgeOne({}, 'upstream_failed')[0] ?? '', /saw whole, the router settled upstream_failed/);
  const [, [settled]] = line('c1', 'served') as [string, [RequestLine]];
  const twice = new Map([['c1', [settled, settled]]]);
  assert.match(judgeCalls([call({})], { lines: twice, routerDeathsMs: [] })[0] ?? '', /settled it 2 times/);
  const stray = new Map([line('c1', 'served'), line('c2', 'served')]);
  assert.match(judgeCalls([call({})], { lines: stray, routerDeathsMs: [] })[0] ?? '', /c2: .*nobody made/);
});

test('a call that outlives its deadline, unless its caller dawdles', () => {
  const facts = { lines: new Map([line('c1', 'served')]), routerDeathsMs: [] };
  assert.match(judgeCalls([call({ endedMs: 90_000 })], facts)[0] ?? '', /deadline was 10000 ms/);
  assert.deepEqual(judgeCalls([call({ endedMs: 90_000 }, { isSlow: true })], facts), []);
});

test('two revisions that answer from one slot at the same time', () => {
  const calls = [
    call({ id: 'c1', firstContentMs: 1000, lastContentMs: 5000 }),
    call({ id: 'c2', firstContentMs: 1500, lastContentMs: 1600 }),
    call({ id: 'c3', firstContentMs: 2000, lastContentMs: 3000 }),
  ];
  const lines = (slot: string) =>
    new Map([line('c1', 'served'), line('c2', 'served'), line('c3', 'served', `${slot}/n-1/1`)]);
  assert.match(judgeResidence(calls, lines('slot-a'))[0] ?? '', /c1 and c3: two revisions .* for 3000 ms/);
  assert.deepEqual(judgeResidence(calls, lines('slot-b')), []);
});
