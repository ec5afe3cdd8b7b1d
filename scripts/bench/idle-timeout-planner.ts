// The planner to compare with: plain sleeping after a time without requests, and slots given by what is in them alone, as Stoker did
// before it scaled on work. Everything else of the controller is as it is. Used by scripts/bench-pool.ts and nothing else.
import { createFleetPlanner, type FleetPlanner, type ModelOrder } from '../../src/core/plan/pool/fleet-planner.ts';
import type { ScalerInput } from '../../src/core/plan/scale/scaler.ts';
import { countByIdleTimeout } from '../../src/sim/policy/idle-timeout.ts';

export function createIdleTimeoutPlanner(): FleetPlanner {
  const planner = createFleetPlanner();
  return {
    ...planner,
    decide(input) {
      // Its figures are only for what is said of the decision.
      const orders = new Map<string, ModelOrder>();
      for (const [model, { figures }] of planner.decide(input)) {
        const asked = input.models.get(model);
        if (asked === undefined) continue;
        const desired = asked.signalAgeMs > 5000 ? Math.min(asked.max, asked.ordered) : countFor(asked);
        orders.set(model, { desired, coldMax: desired, pressing: desired, isRested: false, figures });
      }
      return orders;
    },
  };
}

function countFor(input: ScalerInput): number {
  const { ready, pending, idleMs, waitingTokens, inFlight, hasWakeLease, min, max, keepAliveMs = 30_000 } = input;
  return countByIdleTimeout({
    minAwake: min,
    maxAwake: max,
    sleepAfterMs: keepAliveMs,
    concurrency: input.objective.sequencesMax,
    work: waitingTokens.length + inFlight,
    hasWakeLease,
    instances: [
      ...Array.from({ length: ready }, () => ({ ascent: 'Up' as const, inFlight: 0, idleMs })),
      ...pending.map(() => ({ ascent: 'Climbing' as const, inFlight: 0, idleMs: 0 })),
    ],
  });
}
