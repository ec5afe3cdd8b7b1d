// From an engine's samples to our figures, by a table of its names. Requests are summed over its workers; the use of room is
// the fullest one's, because that one decides.
import { EngineError } from '../engine-error.ts';
import type { EngineFigures } from './dialect.ts';
import { demand, type EngineHttp, METRICS_BYTES_MAX } from './engine-http.ts';
import { readSamples } from './metric-samples.ts';

export interface FigureNames {
  readonly running: readonly string[];
  readonly waiting: readonly string[];
  /** The first one that is there. */
  readonly kvUsedShare: readonly string[];
  /** Added up. */
  readonly steps: readonly string[];
}

/** Asks /metrics. Rejects with EngineError, also when the figures that decide are not there. */
export async function readFigures(http: EngineHttp, names: FigureNames, signal: AbortSignal): Promise<EngineFigures> {
  const what = { method: 'GET', path: '/metrics', bytesMax: METRICS_BYTES_MAX, refused: 'EngineUnreachable' } as const;
  const { running, waiting, kvUsedShare, steps } = names;
  const samples = readSamples(await demand(http, what, signal), [...running, ...waiting, ...kvUsedShare, ...steps]);
  const sum = (wanted: readonly string[]) => {
    const found = wanted.map(samples.sum).filter((value) => value !== undefined);
    return found.length === 0 ? undefined : found.reduce((total, value) => total + value, 0);
  };
  const runningSum = sum(running);
  const waitingSum = sum(waiting);
  if (runningSum === undefined || waitingSum === undefined) {
    throw new EngineError('EngineUnreachable', `The engine's metrics lack ${running[0]} or ${waiting[0]}.`);
  }
  const share = kvUsedShare.map(samples.max).find((value) => value !== undefined);
  return {
    running: runningSum,
    waiting: waitingSum,
    steps: sum(steps) ?? 0,
    ...(share === undefined ? {} : { kvUsedShare: Math.min(1, Math.max(0, share)) }),
  };
}
