// Renders GET /metrics in the Prometheus text format 0.0.4, from the process's figures and what holds right now.
// Must never compute anything that a scrape would make slow.
import type { Counter, Histogram, ServerMetrics } from './metrics.ts';
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

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const PREFIX = 'stoker_llama_';

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
    renderState(now.state),
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
    counter('aborted_total', 'Requests whose caller hung up while they had a slot.', metrics.aborted),
    counter('rejected_total', 'Requests that found the queue full.', metrics.rejected),
    counter('failed_total', 'Requests that failed inside the model server.', metrics.failed),
    counter('loads_total', 'Times the model was loaded.', metrics.loads),
    counter('load_seconds_total', 'Time that loading took, summed.', metrics.loadSeconds),
  ];
}

function renderState(state: ServerState): string {
  const rows = serverStates.map((name) => `${PREFIX}state{state="${name}"} ${name === state ? 1 : 0}\n`);
  return `${head('state', 'The state of the server: one of them is 1.', 'gauge')}${rows.join('')}`;
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

function head(name: string, help: string, kind: 'gauge' | 'counter' | 'histogram'): string {
  return `# HELP ${PREFIX}${name} ${help}\n# TYPE ${PREFIX}${name} ${kind}\n`;
}

function gauge(name: string, help: string, value: number): string {
  return `${head(name, help, 'gauge')}${PREFIX}${name} ${value}\n`;
}

function counter(name: string, help: string, figure: Counter): string {
  return `${head(name, help, 'counter')}${PREFIX}${name} ${figure.value}\n`;
}

function histogram(name: string, help: string, figure: Histogram): string {
  const buckets = figure.cumulative.map(([bound, count]) => `${PREFIX}${name}_bucket{le="${bound}"} ${count}\n`);
  const ends = `${PREFIX}${name}_sum ${figure.sum}\n${PREFIX}${name}_count ${figure.count}\n`;
  return `${head(name, help, 'histogram')}${buckets.join('')}${ends}`;
}
