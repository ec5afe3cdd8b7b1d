// Why an engine could not do what it was asked: a CamelCase reason for machines and a sentence for a person.
// The sentence names files and figures, never keys or prompts.
import type { EngineExit } from '../ports/engine.ts';

export type EngineErrorReason =
  | 'WeightsMissing'
  | 'WeightsUnreadable'
  | 'WeightsChanged'
  | 'StartFailed'
  | 'LoadFailed'
  | 'ProbeFailed'
  | 'SleepFailed'
  | 'WakeFailed'
  | 'EngineExited'
  | 'EngineUnreachable'
  | 'EngineStuck';

export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly reason: EngineErrorReason;

  constructor(reason: EngineErrorReason, sentence: string) {
    super(sentence);
    this.reason = reason;
  }
}

/** One sentence about how an engine ended, with its last words. */
export function describeExit(exit: EngineExit): string {
  const how = exit.signal === null ? `with code ${String(exit.code)}` : `by ${exit.signal}`;
  return exit.lastWords === '' ? `The engine ended ${how}.` : `The engine ended ${how}: ${lastLines(exit.lastWords)}`;
}

function lastLines(words: string): string {
  return words.split('\n').slice(-4).join(' ').slice(-700);
}
