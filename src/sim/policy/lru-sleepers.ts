// What one gets from sleeping engines without a scaler: wake on demand, one more for each full batch, sleep after a time without
// requests, and stop the sleeper that was not used for the longest time. The rule is src/core/plan/scale.ts as it is.
import { planScale } from '../../core/plan/scale.ts';
import { perModelPolicy } from './per-model.ts';
import type { PolicyFactory } from './policy.ts';

const CONCURRENCY = 8;

export function lruSleepersPolicy(sleepAfterMs: number): PolicyFactory {
  return perModelPolicy({ name: 'lru-sleepers', isUrgent: true }, ({ name, minAwake, maxAwake }) => ({
    everyMs: 0,
    decide({ queued, inFlight, replicas, pending, waiting }, nowMs) {
      const oldest = [...waiting][0];
      return planScale({
        model: name,
        minAwake,
        maxAwake,
        sleepAfterMs,
        concurrency: CONCURRENCY,
        load: { queued, inFlight, oldestQueuedMs: oldest === undefined ? 0 : nowMs - oldest.atMs, wakeLeaseMs: 0 },
        isLoadKnown: true,
        instances: [
          ...replicas.map((replica) => ({ ascent: 'Up' as const, inFlight: replica.inFlight, idleMs: replica.idleMs })),
          ...pending.map(() => ({ ascent: 'Climbing' as const, inFlight: 0, idleMs: 0 })),
        ],
      }).desired;
    },
  }));
}
