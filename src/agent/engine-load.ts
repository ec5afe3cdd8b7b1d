// What the awake engine of a slot works on, as metrics. By the engine's own account: a cross-check of what the agent counts, and
// the only word there is on its room for keys and values.
import type { EngineLoad } from '../ports/engine.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export function showLoad(model: string, { running, waiting, kvUsedShare }: EngineLoad, metrics: Metrics): void {
  metrics.set('engineRunning', { model }, running);
  metrics.set('engineWaiting', { model }, waiting);
  if (kvUsedShare !== undefined) metrics.set('engineKvUsed', { model }, kvUsedShare);
}

/** An engine that is no longer awake works on nothing. */
export function hideLoad(model: string, metrics: Metrics): void {
  for (const series of ['engineRunning', 'engineWaiting', 'engineKvUsed'] as const) metrics.forget(series, { model });
}
