// What answers tell of an engine: tokens, and the steps that their times come down to. Bounded, and taken once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEMAND_SAMPLES_MAX } from '../../../src/api/link.ts';
import { readMs, type StepCost, sequencesAtPace, writeMs } from '../../../src/core/plan/scale/cost.ts';
import { learnStep, startCost } from '../../../src/core/plan/scale/learn-cost.ts';
import { type AnswerSeen, createDemandSamples } from '../../../src/router/queue/demand-samples.ts';
import { createEventQueue } from '../../../src/sim/event-queue.ts';
import { chatLengths, drawPoisson, rngFor } from '../../../src/sim/load/arrivals.ts';
import { modelProfiles } from '../../../src/sim/profile.ts';
import { Replica } from '../../../src/sim/replica.ts';
import { createSimRequest, type SimRequest, type TraceRequest } from '../../../src/sim/request.ts';

const answer: AnswerSeen = {
  promptTokens: 500,
  cachedTokens: 100,
  outputTokens: 11,
  firstMs: 60,
  totalMs: 160,
  sequences: 3,
};

test('a stream tells of one step with its prompt and of steps with none', () => {
  const samples = createDemandSamples();
  samples.add(answer);
  assert.deepEqual(samples.take(), {
    answeredTokens: [11],
    steps: [
      { sequences: 2, promptTokens: 400, stepMs: 60 },
      { sequences: 3, promptTokens: 0, stepMs: 10 },
    ],
  });
  assert.deepEqual(samples.take(), {}, 'what was taken is gone');
});

test('a whole answer tells of a step on average, in which the prompts of all at the instance are read by and by', () => {
  const samples = createDemandSamples();
  samples.add({ ...answer, outputTokens: 16, firstMs: undefined });
  assert.deepEqual(samples.take(), {
    answeredTokens: [16],
    steps: [{ sequences: 3, promptTokens: 75, stepMs: 10 }],
  });
});

test('a short answer, and one without a time to write, tell of tokens only', () => {
  const samples = createDemandSamples();
  samples.add({ ...answer, outputTokens: 3 });
  samples.add({ ...answer, outputTokens: 3, firstMs: undefined });
  samples.add({ ...answer, totalMs: 60 });
  samples.add({ ...answer, firstMs: undefined, totalMs: 0 });
  assert.deepEqual(samples.take(), { answeredTokens: [3, 3, 11, 11] });
});

/** Shares of the true work of a request: what is learned from answers of a simulated engine that come whole. */
function learnFromWholeAnswers(load: number): number {
  const { engine } = modelProfiles.Size70B;
  const truth: StepCost = engine;
  const guess = { stepMs: 7, perSequenceMs: 0.09, perPromptTokenMs: 0.023 };
  const workOf = (cost: StepCost, { promptTokens, outputTokens }: TraceRequest) =>
    readMs(cost, promptTokens) +
    writeMs(cost, outputTokens, sequencesAtPace(cost, { gapMsMax: 100, sequencesMax: 16 }));
  const meanWork = (cost: StepCost, requests: readonly TraceRequest[]) =>
    requests.reduce((sum, one) => sum + workOf(cost, one), 0) / requests.length;
  const draw = (perSecond: number) =>
    drawPoisson(
      {
        model: 'm',
        spanMs: 300_000,
        ratePerSecond: () => perSecond,
        ratePerSecondMax: perSecond,
        lengths: chatLengths,
      },
      rngFor(1, 1),
    );
  const requests = draw((load * 1000) / meanWork(truth, draw(5)));
  const events = createEventQueue();
  const samples = createDemandSamples();
  let learned = startCost(guess);
  const begun = new Map<SimRequest, number>();
  const waiting: SimRequest[] = [];
  const pump = () => {
    for (let next = waiting[0]; next !== undefined && replica.canTake(next); next = waiting[0]) {
      waiting.shift();
      begun.set(next, events.nowMs);
      replica.take(next);
    }
  };
  const replica = new Replica({ ...engine, sequencesMax: 16 }, events, {
    onFirstToken() {},
    onStep() {},
    onDone(request) {
      const { promptTokens, outputTokens } = request;
      const totalMs = events.nowMs - (begun.get(request) ?? 0);
      const sequences = replica.inFlight + 1;
      samples.add({ promptTokens, cachedTokens: 0, outputTokens, firstMs: undefined, totalMs, sequences });
      for (const step of samples.take().steps ?? []) learned = learnStep(learned, step);
      pump();
    },
  });
  for (const request of requests) {
    events.at(request.atMs, () => {
      waiting.push(createSimRequest(request));
      pump();
    });
  }
  while (events.next());
  return meanWork(learned.cost, requests) / meanWork(truth, requests);
}

for (const load of [0.3, 0.7, 1.2]) {
  test(`whole answers put a guess right that is four times too fast, at a load of ${load}`, () => {
    const share = learnFromWholeAnswers(load);
    assert.ok(share > 0.85 && share < 1.15, `${share} of the true work`);
  });
}

test('no more is kept than one message may carry', () => {
  const samples = createDemandSamples();
  for (let count = 0; count < 1000; count += 1) samples.add(answer);
  const { answeredTokens, steps } = samples.take();
  assert.equal(answeredTokens?.length, DEMAND_SAMPLES_MAX);
  assert.equal(steps?.length, DEMAND_SAMPLES_MAX);
});
