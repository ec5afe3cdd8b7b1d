import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFleetPlanner } from '../../../../../src/core/plan/pool/fleet-planner.ts';
import type { ScalerInput } from '../../../../../src/core/plan/scale/scaler.ts';

const SLOTS = 2;
const guess = {
  cost: { stepMs: 8, perSequenceMs: 0.11, perPromptTokenMs: 0.04 },
  ...{ outputTokens: 200, startMs: 45_000, wakeMs: 900, sleepMs: 2800, drainMs: 3000 },
};

function inputAt(nowMs: number, changes: Partial<ScalerInput>): ScalerInput {
  return {
    nowMs,
    signalAgeMs: 50,
    ...{ min: 0, max: 2, ordered: 1, ready: 1, inFlight: 0, idleMs: 0, engineTokens: 0 },
    objective: { firstTokenMsMax: 5000, gapMsMax: 100, sequencesMax: 64 },
    ...{ waitingTokens: [], pending: [], hasWakeLease: false, keepAliveMs: 300_000 },
    ...{ makeRoomMs: 0, lagMs: 100, forecastFloor: 0 },
    ...changes,
  };
}

/** `often` is asked every two seconds, `rare` every 90 s. Whether `rare` was rested before its time. */
function isRareRested(often: Partial<ScalerInput>): boolean {
  const planner = createFleetPlanner();
  for (const model of ['often', 'rare']) planner.add(model, { guess, sinceMs: -600_000 });
  let usedMs = 0;
  let isRested = false;
  for (let nowMs = 0; nowMs < 3_600_000; nowMs += 1000) {
    const arrived = { type: 'Arrived', atMs: nowMs, requests: 1, promptTokens: 500 } as const;
    if (nowMs % 2000 === 0) planner.tell('often', arrived);
    if (nowMs % 90_000 === 0) {
      planner.tell('rare', arrived);
      usedMs = nowMs;
    }
    const models = new Map([
      ['often', inputAt(nowMs, often)],
      ['rare', inputAt(nowMs, { inFlight: nowMs === usedMs ? 1 : 0, idleMs: nowMs - usedMs })],
    ]);
    isRested ||= planner.decide({ slots: SLOTS, models }).get('rare')?.isRested === true;
  }
  return isRested;
}

test('another version sleeps and drains as is guessed of it', () => {
  const planner = createFleetPlanner();
  planner.add('m', { guess, sinceMs: 0 });
  planner.guess('m', { ...guess, sleepMs: 20_000, drainMs: 9000 });
  const climb = planner.decide({ slots: 1, models: new Map([['m', inputAt(1000, {})]]) }).get('m')?.climb;
  assert.deepEqual([climb?.sleepMs, climb?.drainMs], [20_000, 9000]);
});

test('an idle model rests early for those that have no slot, and not for who has one', () => {
  assert.equal(isRareRested({ inFlight: 0, ordered: 0, ready: 0 }), true);
  assert.equal(isRareRested({ inFlight: 1 }), false);
});
