// From rows with a line number to a trace: counts are whole and within bounds, times do not go back, gaps are not too long.
// What breaks one of these is refused with its line; nothing is sorted, filled or left out in silence.
import type { Trace } from '../request.ts';
import { refuseLine, TraceError } from './trace-error.ts';

export interface TraceRow {
  readonly line: number;
  /** Milliseconds on any scale. */
  readonly timeMs: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly model?: string;
}

/** Requests that one trace may hold: all of them are kept in memory. */
export const TRACE_REQUESTS_MAX = 5_000_000;
/** A longer pause is a hole in the recording, and the fleet would be judged on it. */
export const TRACE_GAP_MS_MAX = 6 * 3_600_000;
const TOKENS_MAX = 10_000_000;

export const DEFAULT_MODEL = 'model';

/**
 * Lines with their numbers, one at a time: all lines of a large file at once would take more memory than the file. An empty
 * line is where something is missing; at the end of a file it is nothing.
 */
export function* readLines(name: string, text: string): Generator<{ readonly line: number; readonly text: string }> {
  let empty: number | undefined;
  for (let line = 1, from = 0; from <= text.length; line += 1) {
    const found = text.indexOf('\n', from);
    const end = found < 0 ? text.length : found;
    const content = text.slice(from, end).trim();
    from = end + 1;
    if (content === '') {
      empty ??= line;
      continue;
    }
    if (empty !== undefined)
      throw refuseLine(name, empty, 'the line is empty; take it out if nothing is missing there');
    yield { line, text: content };
  }
}

export function collectTrace(name: string, rows: Iterable<TraceRow>): Trace {
  const requests: Trace['requests'][number][] = [];
  let first: number | undefined;
  let before = 0;
  for (const row of rows) {
    checkCounts(name, row);
    first ??= row.timeMs;
    const atMs = row.timeMs - first;
    checkTime(name, row.line, { atMs, before });
    before = atMs;
    const { promptTokens, outputTokens, model = DEFAULT_MODEL } = row;
    requests.push({ atMs, model, promptTokens, outputTokens });
    if (requests.length > TRACE_REQUESTS_MAX)
      throw refuseLine(name, row.line, `a trace may hold no more than ${TRACE_REQUESTS_MAX} requests`);
  }
  if (requests.length === 0) throw new TraceError(`${name} holds no request.`);
  return { name, requests };
}

function checkCounts(name: string, { line, promptTokens, outputTokens }: TraceRow): void {
  for (const [what, count] of [
    ['prompt', promptTokens],
    ['output', outputTokens],
  ] as const) {
    if (!Number.isInteger(count) || count < 0 || count > TOKENS_MAX)
      throw refuseLine(name, line, `the ${what} tokens must be a whole number from 0 to ${TOKENS_MAX}`);
  }
}

function checkTime(name: string, line: number, { atMs, before }: { atMs: number; before: number }): void {
  if (!Number.isFinite(atMs)) throw refuseLine(name, line, 'the time is not a time');
  if (atMs < before)
    throw refuseLine(name, line, `the time is ${before - atMs} ms before the line above; sort the file by time`);
  if (atMs - before > TRACE_GAP_MS_MAX) {
    const hours = ((atMs - before) / 3_600_000).toFixed(1);
    throw refuseLine(name, line, `nothing came for ${hours} hours before it; cut the file there`);
  }
}
