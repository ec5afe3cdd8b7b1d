// Inputs for tests of the scaler, with everything that a test does not name filled in: a 70B that wakes in 3 s.
import type { ScalerGuess, ScalerInput } from '../../src/core/plan/scale/scaler.ts';

export const guess70B: ScalerGuess = {
  cost: { stepMs: 29.5, perSequenceMs: 0.35, perPromptTokenMs: 0.091 },
  outputTokens: 100,
  startMs: 120_000,
  wakeMs: 3000,
};

export function scalerInput(changes: Partial<ScalerInput> = {}): ScalerInput {
  return {
    nowMs: 1_000_000,
    signalAgeMs: 0,
    min: 0,
    max: 40,
    objective: { firstTokenMsMax: 5000, gapMsMax: 100, sequencesMax: 64 },
    waitingTokens: [],
    engineTokens: 0,
    inFlight: 0,
    hasWakeLease: false,
    idleMs: 1_000_000,
    ordered: 0,
    ready: 0,
    pending: [],
    makeRoomMs: 0,
    lagMs: 100,
    forecastFloor: 0,
    ...changes,
  };
}
