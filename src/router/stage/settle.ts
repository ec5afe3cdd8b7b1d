// The end of every request: the caller is told what has not been told, the figures are counted, and one line is logged.
// Runs exactly once for each request. The line holds names and figures, never content.
import { outcomes } from '../../api/outcomes.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Call, CallRecord } from '../call.ts';
import type { Ending } from '../ending.ts';
import type { BodyBudget } from './limit.ts';

export interface SettleOptions {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly bodies: BodyBudget;
}

/** `ending` is undefined for a request that was served. */
export function settle(call: Call, ending: Ending | undefined, options: SettleOptions): void {
  const { record, sink } = call;
  record.outcome = ending?.code ?? 'served';
  if (ending !== undefined) sink.fail(ending);
  options.bodies.giveBack(record.bodyBytes);
  const totalMs = options.clock.nowMs() - call.acceptedMs;
  count(record, totalMs, options.metrics);
  options.log.info(
    {
      requestId: call.id,
      route: call.route,
      outcome: record.outcome,
      status: sink.sentStatus() ?? outcomes[record.outcome].status,
      tenant: record.tenant ?? null,
      model: record.model ?? null,
      stream: record.stream,
      requestBytes: record.bodyBytes,
      queueMs: rounded(record.queueMs),
      firstMs: rounded(record.firstContentMs),
      totalMs: rounded(totalMs),
      attempts: record.attempts,
      refusals: record.refusals,
      revision: record.revision ?? null,
      instance: record.instance ?? null,
      usageIn: record.usage?.promptTokens ?? null,
      usageOut: record.usage?.completionTokens ?? null,
      usageCached: record.usage?.cachedTokens ?? null,
      // Only what we ourselves said about our own side: a caller's mistake may quote the caller.
      ...(ending !== undefined && outcomes[ending.code].status >= 500 ? { why: ending.message } : {}),
    },
    'a request ended',
  );
}

function count(record: CallRecord, totalMs: number, metrics: Metrics): void {
  const model = record.model ?? '';
  const { usage, outcome = 'internal_error' } = record;
  metrics.count('requests', { model, outcome });
  if (record.model === undefined) return;
  metrics.observe('requestSeconds', { model }, totalMs / 1000);
  if (record.queueMs !== undefined) metrics.observe('queueSeconds', { model }, record.queueMs / 1000);
  if (record.firstContentMs !== undefined)
    metrics.observe('firstContentSeconds', { model }, record.firstContentMs / 1000);
  if (usage === undefined) return;
  metrics.count('tokens', { model, direction: 'prompt' }, usage.promptTokens);
  metrics.count('tokens', { model, direction: 'completion' }, usage.completionTokens);
  metrics.count('tokens', { model, direction: 'cached' }, usage.cachedTokens);
}

function rounded(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms * 10) / 10;
}
