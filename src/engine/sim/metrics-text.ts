// Renders GET /metrics of the simulated engine in the Prometheus text format 0.0.4: what the built-in engine tells, and the
// accelerator memory that is held. Must never compute anything that a scrape would make slow.
import type { ServerMetrics } from '../llama/metrics.ts';
import { type ServerState, serverStates } from '../llama/protocol.ts';
import { createMetricLines } from '../metric-lines.ts';

/** What holds at the moment of the scrape. */
export interface SimGauges {
  readonly state: ServerState;
  readonly queued: number;
  readonly busy: number;
  readonly places: number;
  readonly kvTokensHeld: number;
  readonly kvTokens: number;
  readonly acceleratorBytes: number;
  /** Requests that a fault struck. */
  readonly faults: number;
}

const { gauge, counter, histogram, choice } = createMetricLines('stoker_sim_');

export function renderSimMetrics(metrics: ServerMetrics, now: SimGauges): string {
  return [
    gauge('queue_depth', 'Requests that wait for a place.', now.queued),
    gauge('slots_busy', 'Places that work on a request.', now.busy),
    gauge('slots', 'Places of the model.', now.places),
    gauge('kv_tokens_held', 'Tokens that running requests have claimed.', now.kvTokensHeld),
    gauge('kv_tokens', 'Tokens that running requests can hold together.', now.kvTokens),
    gauge('accelerator_bytes', 'Simulated accelerator memory that is held.', now.acceleratorBytes),
    gauge('faults', 'Requests that a simulated fault struck.', now.faults),
    counter('prompt_tokens_total', 'Prompt tokens of requests that got a first token.', metrics.promptTokens),
    counter('generated_tokens_total', 'Tokens that were given.', metrics.generatedTokens),
    counter('batches_total', 'Steps begun.', metrics.batches),
    counter('aborted_total', 'Requests whose caller hung up while they had a place.', metrics.aborted),
    counter('rejected_total', 'Requests that found the queue full.', metrics.rejected),
    counter('loads_total', 'Times the model was loaded or woken.', metrics.loads),
    counter('load_seconds_total', 'Time that loading and waking took, summed.', metrics.loadSeconds),
    histogram('queue_seconds', 'Time from arrival to a place.', metrics.queueSeconds),
    histogram('first_token_seconds', 'Time from arrival to the first token.', metrics.firstTokenSeconds),
    histogram('inter_token_seconds', 'Time between two tokens of an answer.', metrics.interTokenSeconds),
    choice('state', 'The state of the server: one of them is 1.', { values: serverStates, chosen: now.state }),
  ].join('');
}
