// Scalers that move by one replica and then wait: llm-d's workload variant autoscaler in saturation mode, and the load mode of
// the Dynamo planner. Our readings of their documents, not their code.
import { perModelPolicy } from './per-model.ts';
import type { ModelReading, PolicyFactory, ReplicaReading } from './policy.ts';
import { createRecent } from './recent.ts';

const WVA_EVERY_MS = 30_000;
const WVA_WINDOW_MS = 60_000;
const KV_SHARE_MAX = 0.8;
const QUEUE_MAX = 5;
const SPARE_KV_MIN = 0.1;
const SPARE_QUEUE_MIN = 3;

export function wvaPolicy(): PolicyFactory {
  return perModelPolicy({ name: 'wva', isUrgent: true }, () => {
    const kv = createRecent(WVA_WINDOW_MS);
    const queue = createRecent(WVA_WINDOW_MS);
    /** With the load of now on that many times fewer replicas. */
    const isShort = (factor: number) =>
      KV_SHARE_MAX - kv.max() * factor < SPARE_KV_MIN || QUEUE_MAX - queue.max() * factor < SPARE_QUEUE_MIN;
    return {
      everyMs: WVA_EVERY_MS,
      sample(reading, nowMs) {
        kv.add(
          nowMs,
          meanOf(reading, ({ kvShare }) => kvShare),
        );
        queue.add(nowMs, reading.queued / Math.max(1, reading.ready));
      },
      // From zero it looks every 100 ms.
      fromZero: ({ queued }) => (queued > 0 ? 1 : 0),
      decide({ ready, ordered, pending }) {
        if (pending.length > 0) return ordered;
        if (isShort(1)) return ordered + 1;
        return ready > 1 && !isShort(ready / (ready - 1)) ? ordered - 1 : ordered;
      },
    };
  });
}

const DYNAMO_EVERY_MS = 5000;
const CALM_SHARE = 0.8;

export function dynamoPolicy(): PolicyFactory {
  return perModelPolicy({ name: 'dynamo', isUrgent: false }, ({ firstTokenMsMax, profile }) => {
    const { stepMs, perPromptTokenMs } = profile.engine;
    return {
      everyMs: DYNAMO_EVERY_MS,
      fromZero: () => 1,
      decide({ ready, ordered, pending, waiting, replicas }) {
        if (pending.length > 0 || ready === 0) return ordered;
        const queuedTokens = [...waiting].reduce((sum, { promptTokens }) => sum + promptTokens, 0) / ready;
        const expected = replicas.map(({ promptLeft }) => stepMs + perPromptTokenMs * (promptLeft + queuedTokens));
        if (expected.every((ms) => ms > firstTokenMsMax)) return ordered + 1;
        return expected.every((ms) => ms < CALM_SHARE * firstTokenMsMax) ? Math.max(1, ordered - 1) : ordered;
      },
    };
  });
}

function meanOf({ replicas }: ModelReading, figure: (replica: ReplicaReading) => number): number {
  return replicas.reduce((sum, replica) => sum + figure(replica), 0) / Math.max(1, replicas.length);
}
