// What Model.spec.scaling.headroom changes: how much stays awake for bursts that are rare.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createScaler } from '../../../../../src/core/plan/scale/scaler.ts';
import { headroomRanks } from '../../../../../src/core/plan/scale/settings.ts';
import { guess70B, scalerInput } from '../../../../support/scaler.ts';

/** Every 20 s some prompts come at once, every 100 s more, and once very many. */
function requestsIn(second: number): number {
  if (second === 300) return 64;
  return second % 100 === 0 ? 16 : second % 20 === 0 ? 4 : 0;
}

function headroomOf(headroomRank: number): number {
  const scaler = createScaler({ guess: guess70B, sinceMs: 0 });
  for (let second = 0; second < 600; second += 1) {
    const requests = requestsIn(second);
    if (requests > 0) scaler.arrived(second * 1000, { requests, promptTokens: requests * 2000 });
  }
  return scaler.decide(scalerInput({ nowMs: 600_000, headroomRank })).need.headroom;
}

test('the stricter the class, the rarer the bursts that what is awake has to meet', () => {
  const { Economy, Standard, Strict } = headroomRanks;
  assert.ok(headroomOf(Economy) > 0);
  assert.ok(headroomOf(Standard) >= 2 * headroomOf(Economy));
  assert.ok(headroomOf(Strict) >= 2 * headroomOf(Standard));
});
