// Traces as JSON lines in the Mooncake format: timestamp (milliseconds), input_length, output_length. Other fields are passed
// over: the blocks of a prompt (hash_ids) are not used, so no prompt is taken for cached.
import { parseJsonObject } from '../../lib/json-text.ts';
import type { Trace } from '../request.ts';
import { collectTrace, readLines, type TraceRow } from './rows.ts';
import { refuseLine } from './trace-error.ts';

export function parseMooncakeTrace(name: string, text: string): Trace {
  return collectTrace(name, readRows(name, text));
}

function* readRows(name: string, text: string): Generator<TraceRow> {
  for (const { line, text: content } of readLines(name, text)) yield readRow(name, line, content);
}

function readRow(name: string, line: number, text: string): TraceRow {
  const fields = parseJsonObject(text);
  if (fields === undefined) throw refuseLine(name, line, 'it is not a JSON object');
  const { timestamp, input_length: input, output_length: output } = fields;
  if (typeof timestamp !== 'number' || typeof input !== 'number' || typeof output !== 'number')
    throw refuseLine(name, line, 'timestamp, input_length and output_length must be numbers');
  if (!(timestamp >= 0)) throw refuseLine(name, line, 'the time is not a time from 0 on');
  return { line, timeMs: timestamp, promptTokens: input, outputTokens: output };
}
