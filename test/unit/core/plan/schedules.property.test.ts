// Ten thousand random schedules of requests, refused callers, silent routers, lost agents, crashes, and engines that fail, come up
// partly, are slow or leak: no request is lost, no slot holds two, no leak lasts beyond two sleeps, no promise is forgotten.
// fast-check prints seed and path of a schedule that fails.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { planSlot } from '../../../../src/agent/slot-plan.ts';
import { residentRungs } from '../../../../src/api/link.ts';
import {
  realParts,
  type Schedule,
  type ScheduleEvent,
  type ScheduleParts,
  ScheduleWorld,
  scheduleModels,
} from '../../../support/schedule-world.ts';

const model = fc.nat(scheduleModels.length - 1);
const event: fc.Arbitrary<ScheduleEvent> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('request' as const), model, servedMs: fc.nat(6000) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('coldCaller' as const), model }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('silence' as const), ms: fc.nat(70_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('disconnect' as const), slot: fc.nat(1), ms: fc.nat(20_000) }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('crash' as const), slot: fc.nat(1) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('time' as const), ms: fc.nat(8000) }) },
);
const schedules: fc.Arbitrary<Schedule> = fc.record({
  seed: fc.nat(),
  events: fc.array(event, { minLength: 5, maxLength: 24 }),
  leaking: fc.subarray([0, 1, 2]),
  faultShare: fc.constantFrom(0, 0.005, 0.1, 0.4),
});

function explore(numRuns: number, parts: ScheduleParts = realParts): void {
  fc.assert(
    fc.property(schedules, (schedule) => new ScheduleWorld(schedule, parts).run()),
    { numRuns, includeErrorInReport: true },
  );
}

describe('ten thousand schedules', () => {
  for (let part = 1; part <= 5; part += 1) test(`part ${part}: 2,000 of them`, () => explore(2000));
});

describe('the schedules find what is broken', () => {
  const finds = (what: string, broken: Partial<ScheduleParts>, message: RegExp) => {
    test(what, () => {
      assert.throws(() => explore(2000, { ...realParts, ...broken }), message);
    });
  };

  finds(
    'an agent that wakes one beside another',
    {
      planSlot: (view) => {
        const others = view.instances.filter(({ rung, wanted }) => !residentRungs.has(rung) || wanted === 'Awake');
        return planSlot({ ...view, instances: others });
      },
    },
    /holds .* and /,
  );
  finds(
    'a budget that lets leaks pass',
    { judgeSleep: (record) => ({ record: { ...record, count: record.count + 1 }, verdict: { type: 'keep' } }) },
    /leaked and slept 2 times/,
  );
  finds('a router that forgets who was promised', { hearsLeases: false }, /was promised to a caller/);
  finds('a router that loses what it got back', { keepsRefused: false }, /no request is lost/);
});
