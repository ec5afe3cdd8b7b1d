// Traces as comma-separated lines: the Azure format (TIMESTAMP,ContextTokens,GeneratedTokens) and the plain one
// (timestamp,prompt,output with seconds, and a model if there are several). The header says which it is.

import type { Trace } from '../request.ts';
import { collectTrace, readLines, type TraceRow } from './rows.ts';
import { refuseLine } from './trace-error.ts';

interface Columns {
  readonly time: number;
  readonly prompt: number;
  readonly output: number;
  readonly model: number;
  readonly count: number;
  parseTime(text: string): number;
}

export function parseCsvTrace(name: string, text: string): Trace {
  return collectTrace(name, readRows(name, text));
}

function* readRows(name: string, text: string): Generator<TraceRow> {
  let columns: Columns | undefined;
  for (const { line, text: content } of readLines(name, text)) {
    const cells = content.split(',').map((cell) => cell.trim());
    if (columns === undefined) columns = readHeader(name, line, cells);
    else yield readRow(name, line, { cells, columns });
  }
}

const azure = ['timestamp', 'contexttokens', 'generatedtokens'];
const plain = ['timestamp', 'prompt', 'output'];

function readHeader(name: string, line: number, cells: readonly string[]): Columns {
  const names = cells.map((cell) => cell.replace(/^\uFEFF/, '').toLowerCase());
  const [time, prompt, output] = names.includes('contexttokens') ? azure : plain;
  const at = (column: string | undefined) => names.indexOf(column ?? '');
  const columns = { time: at(time), prompt: at(prompt), output: at(output), model: at('model'), count: names.length };
  if (columns.time < 0 || columns.prompt < 0 || columns.output < 0) {
    const wanted =
      'TIMESTAMP,ContextTokens,GeneratedTokens or timestamp,prompt,output (and model, if there are several)';
    throw refuseLine(name, line, `the first line must name the columns ${wanted}`);
  }
  return { ...columns, parseTime: time === azure[0] && names.includes('contexttokens') ? parseDate : parseSeconds };
}

function readRow(
  name: string,
  line: number,
  { cells, columns }: { cells: readonly string[]; columns: Columns },
): TraceRow {
  if (cells.length !== columns.count)
    throw refuseLine(name, line, `there are ${cells.length} columns and the first line names ${columns.count}`);
  const cell = (at: number) => cells[at] ?? '';
  const timeMs = columns.parseTime(cell(columns.time));
  if (!Number.isFinite(timeMs) || timeMs < 0) throw refuseLine(name, line, 'the time is not a time from 0 on');
  const model = columns.model < 0 ? {} : { model: readModel(name, line, cell(columns.model)) };
  return {
    line,
    timeMs,
    promptTokens: parseWhole(cell(columns.prompt)),
    outputTokens: parseWhole(cell(columns.output)),
    ...model,
  };
}

function readModel(name: string, line: number, text: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/.test(text)) throw refuseLine(name, line, 'the model is not a name');
  return text;
}

function parseWhole(text: string): number {
  return /^[0-9]{1,12}(\.0+)?$/.test(text) ? Number(text) : Number.NaN;
}

function parseSeconds(text: string): number {
  return /^[0-9]{1,12}(\.[0-9]{1,9})?$/.test(text) ? Number(text) * 1000 : Number.NaN;
}

/** `2023-11-16 18:17:03.9799600`, read as UTC. Date keeps milliseconds only, so the fraction is added by hand. */
function parseDate(text: string): number {
  const parts = /^([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?(?:Z|\+00:00)?$/.exec(
    text,
  );
  if (parts === null) return Number.NaN;
  const [, day, time, fraction = '0'] = parts;
  return Date.parse(`${day}T${time}Z`) + Number(fraction) * 1000;
}
