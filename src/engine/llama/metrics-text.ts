// Renders GET /metrics in the Prometheus text format 0.0.4, from the process's figures and what holds right now.
// Must never compute anything that a scrape would make slow.
import { createMetricLines, METRICS_CONTENT_TYPE } from '../metric-lines.ts';
import type { ServerMetrics } from './metrics.ts';
import type { ProcessMemory } from './process-memory.ts';
import { type ServerState, serverStates } from './protocol.ts';

/** What holds at the moment of the scrape. */
export interface ServerGauges {
  readonly state: ServerState;
  readonly queued: number;
  readonly slotsBusy: number;
  readonly slots: number;
  readonly kvTokensHeld: number;
  readonly kvTokens: number;
  readonly memory: ProcessMemory;
}

export { METRICS_CONTENT_TYPE };

const { gauge, counter, histogram, choice } = createMetricLines('stoker_llama_');

export function renderMetrics(metrics: ServerMetrics, now: ServerGauges): string {
  return [
    gauge('queue_depth', 'Requests that wait for a slot.', now.queued),
    gauge('slots_busy', 'Slots that work on a request.', now.slotsBusy),
    gauge('slots', 'Slots of the loaded model.', now.slots),
    gauge('kv_tokens_held', 'Tokens that the slots keep.', now.kvTokensHeld),
    gauge('kv_tokens', 'Tokens that the slots can keep.', now.kvTokens),
    gauge('prefill_tokens_per_second', 'Speed at which the last prompt was read.', metrics.prefillRate.value),
    ...renderCounters(metrics),
    histogram('queue_seconds', 'Time from arrival to a slot.', metrics.queueSeconds),
    histogram('first_token_seconds', 'Time from arrival to the first token.', metrics.firstTokenSeconds),
    histogram('inter_token_seconds', 'Time between two tokens of an answer.', metrics.interTokenSeconds),
    choice('state', 'The state of the server: one of them is 1.', { values: serverStates, chosen: now.state }),
    ...renderMemory(now.memory),
  ].join('');
}

function renderCounters(metrics: ServerMetrics): string[] {
  return [
    counter('prompt_tokens_total', 'Prompt tokens of requests that got a first token.', metrics.promptTokens),
    counter('cached_tokens_total', 'Prompt tokens that a slot held already.', metrics.cachedTokens),
    counter('generated_tokens_total', 'Tokens that were sampled.', metrics.generatedTokens),
    counter('prefill_tokens_total', 'Prompt tokens that were computed.', metrics.prefillTokens),
    counter('prefill_seconds_total', 'Time from a slot to the first token, summed.', metrics.prefillSeconds),
    counter('batches_total', 'Steps begun.', metrics.batches),
    counter('embeddings_total', 'Inputs that were turned into vectors.', metrics.embeddings),
    counter('embedding_tokens_total', 'Tokens of those inputs.', metrics.embeddingTokens),
    counter('aborted_total', 'Requests whose caller hung up while they had a slot.', metrics.aborted),
    counter('rejected_total', 'Requests that found the queue full.', metrics.rejected),
    counter('failed_total', 'Requests that failed inside the model server.', metrics.failed),
    counter('loads_total', 'Times the model was loaded.', metrics.loads),
    counter('load_seconds_total', 'Time that loading took, summed.', metrics.loadSeconds),
  ];
}

function renderMemory(memory: ProcessMemory): string[] {
  const rows: string[] = [];
  if (memory.anonymousBytes !== undefined) {
    rows.push(gauge('memory_anonymous_bytes', 'Memory of the process that no file backs.', memory.anonymousBytes));
  }
  if (memory.swappedBytes !== undefined) {
    rows.push(gauge('memory_swapped_bytes', 'Memory of the process that is swapped out.', memory.swappedBytes));
  }
  return rows;
}
