// One simulated engine: the arithmetic of its steps, what it takes, and what comes back when it goes away.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEventQueue } from '../../../src/sim/event-queue.ts';
import { type EngineProfile, Replica, type StepSample } from '../../../src/sim/replica.ts';
import { createSimRequest, type SimRequest } from '../../../src/sim/request.ts';

const profile: EngineProfile = {
  stepMs: 10,
  perSequenceMs: 1,
  perPromptTokenMs: 0.5,
  promptTokensPerStep: 100,
  sequencesMax: 2,
  kvTokens: 1000,
};

function engine(changes: Partial<EngineProfile> = {}) {
  const events = createEventQueue();
  const steps: StepSample[] = [];
  const done: SimRequest[] = [];
  const replica = new Replica({ ...profile, ...changes }, events, {
    onFirstToken: () => undefined,
    onDone: (request) => done.push(request),
    onStep: (sample) => steps.push(sample),
  });
  const run = () => {
    while (events.next());
  };
  return { events, replica, steps, done, run };
}

const request = (promptTokens: number, outputTokens: number) =>
  createSimRequest({ atMs: 0, model: 'model', promptTokens, outputTokens });

test('a prompt is read in chunks, then tokens are written one a step', () => {
  const { replica, run, done } = engine();
  const one = request(150, 3);
  replica.take(one);
  run();
  // Steps of 100 and of 50 prompt tokens, then two with one sequence.
  assert.equal(one.firstTokenMs, 10 + 50 + (10 + 25));
  assert.equal(one.doneMs, 95 + 2 * 11);
  assert.deepEqual(done, [one]);
  assert.equal(replica.inFlight, 0);
  assert.equal(replica.kvShare, 0);
});

test('a prompt that comes while tokens are written is read from the next step on', () => {
  const { events, replica, run } = engine();
  const one = request(100, 50);
  const two = request(10, 1);
  replica.take(one);
  events.at(66, () => replica.take(two));
  run();
  // The first step ends at 60, the next at 71; then one step has a sequence and the prompt.
  assert.equal(two.firstTokenMs, 71 + 10 + 1 + 5);
  assert.equal(one.doneMs, 60 + 11 * 48 + 16 + 0);
});

test('it takes no more sequences, prompt tokens or memory than it has, but always one request', () => {
  const { replica } = engine();
  assert.ok(replica.canTake(request(5000, 5000)));
  replica.take(request(60, 1));
  assert.ok(replica.canTake(request(10, 1)));
  assert.ok(!replica.canTake(request(900, 100)), 'memory');
  replica.take(request(60, 1));
  assert.ok(!replica.canTake(request(1, 1)), 'sequences');
  const wide = engine({ sequencesMax: 9 }).replica;
  wide.take(request(200, 1));
  assert.ok(!wide.canTake(request(1, 1)), 'its next step is full');
  assert.equal(wide.promptBehind, 0);
  wide.take(request(30, 1));
  assert.equal(wide.promptBehind, 30);
});

test('an engine that goes away gives everything back, to be read again', () => {
  const { events, replica, run } = engine();
  const [writing, reading] = [request(100, 50), request(300, 1)];
  replica.take(writing);
  events.at(70, () => replica.take(reading));
  events.at(200, () => {
    const back = replica.abandon();
    assert.deepEqual(new Set(back), new Set([writing, reading]));
  });
  run();
  assert.equal(writing.promptLeft, 100);
  assert.equal(reading.promptLeft, 300);
  assert.equal(replica.inFlight, 0);
  assert.equal(writing.firstTokenMs, 60, 'what was seen stays seen');
  assert.equal(writing.doneMs, undefined);
});

test('steps that are told apart add up to the time that passed', () => {
  const { replica, run, steps, events } = engine();
  replica.take(request(90, 20));
  run();
  assert.equal(steps[0]?.promptTokens, 90);
  assert.ok(steps.every(({ stepMs, sequences, promptTokens }) => stepMs === 10 + sequences + 0.5 * promptTokens));
  assert.equal(events.nowMs, 10 + 45 + 19 * 11);
});
