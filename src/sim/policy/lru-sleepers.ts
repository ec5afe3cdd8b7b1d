// What one gets from sleeping engines without a scaler: wake on demand, one more for each full batch, sleep after a time without
// requests (idle-timeout.ts), and stop the sleeper that was not used for the longest time.
import { countByIdleTimeout } from './idle-timeout.ts';
import { perModelPolicy } from './per-model.ts';
import type { PolicyFactory } from './policy.ts';

export function lruSleepersPolicy(sleepAfterMs: number): PolicyFactory {
  return perModelPolicy(
    { name: `lru-sleepers-${sleepAfterMs / 1000}`, isUrgent: true },
    ({ minAwake, maxAwake, profile }) => ({
      everyMs: 0,
      decide: ({ queued, inFlight, replicas, pending }) =>
        countByIdleTimeout({
          minAwake,
          maxAwake,
          sleepAfterMs,
          concurrency: profile.engine.sequencesMax,
          work:
            queued +
            Math.max(
              inFlight,
              replicas.reduce((sum, replica) => sum + replica.inFlight, 0),
            ),
          hasWakeLease: false,
          instances: [
            ...replicas.map((replica) => ({
              ascent: 'Up' as const,
              inFlight: replica.inFlight,
              idleMs: replica.idleMs,
            })),
            ...pending.map(() => ({ ascent: 'Climbing' as const, inFlight: 0, idleMs: 0 })),
          ],
        }),
    }),
  );
}
