// The Horizontal Pod Autoscaler as documented (KEP-853 and the Kubernetes pages): a ratio every 15 s over a metric that is late,
// a tolerance of 0.1, doubling or four more in a step, and the largest of 300 s on the way down. Our reading, not its code.
import { type ModelRule, perModelPolicy } from './per-model.ts';
import type { PolicyFactory } from './policy.ts';
import { createRecent } from './recent.ts';

const SYNC_MS = 15_000;
/** Scraping and the metrics pipeline. */
const METRIC_LAG_MS = 15_000;
const TOLERANCE = 0.1;
const DOWN_WINDOW_MS = 300_000;

/** Requests in flight and waiting, averaged over replicas, against a target. */
export function hpaPolicy(target: number): PolicyFactory {
  return perModelPolicy({ name: `hpa-${target}`, isUrgent: false }, () => {
    const metric = createRecent(METRIC_LAG_MS * 2);
    const damp = createDamping();
    return {
      everyMs: SYNC_MS,
      sample: ({ queued, inFlight }, nowMs) => metric.add(nowMs, queued + inFlight),
      fromZero: () => 1,
      decide: ({ ordered }, nowMs) => damp(nowMs, ordered, metric.before(nowMs - METRIC_LAG_MS) / target),
    };
  });
}

/** From replicas that a metric asks for to replicas that are set. */
function createDamping(): (nowMs: number, current: number, asked: number) => number {
  const asks = createRecent(DOWN_WINDOW_MS);
  return (nowMs, current, asked) => {
    const isNear = current > 0 && Math.abs(asked / current - 1) <= TOLERANCE;
    const wanted = Math.max(1, isNear ? current : Math.ceil(asked));
    asks.add(nowMs, wanted);
    if (wanted >= current) return Math.min(wanted, Math.max(current * 2, current + 4));
    return Math.min(current, asks.max());
  };
}

/** KEDA polls a trigger, wakes from zero when it is active, and leaves the rest to the HPA (keda.sh). */
export function kedaPolicy(queueTarget: number): PolicyFactory {
  return perModelPolicy({ name: `keda-${queueTarget}`, isUrgent: false }, () => createKedaRule(queueTarget));
}

const POLL_MS = 30_000;
const COOLDOWN_MS = 300_000;

function createKedaRule(queueTarget: number): ModelRule {
  const metric = createRecent(METRIC_LAG_MS * 2);
  const damp = createDamping();
  let pollMs = 0;
  let activeMs = Number.NEGATIVE_INFINITY;
  const isActive = (nowMs: number) => nowMs - activeMs <= COOLDOWN_MS;
  return {
    everyMs: SYNC_MS,
    sample({ queued }, nowMs) {
      metric.add(nowMs, queued);
      if (nowMs < pollMs) return;
      pollMs = nowMs + POLL_MS;
      if (metric.before(nowMs - METRIC_LAG_MS) > 0) activeMs = nowMs;
    },
    decide({ ordered }, nowMs) {
      if (!isActive(nowMs)) return 0;
      return ordered === 0 ? 1 : damp(nowMs, ordered, metric.before(nowMs - METRIC_LAG_MS) / queueTarget);
    },
  };
}
