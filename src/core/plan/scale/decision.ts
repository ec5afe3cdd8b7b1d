// What a scaling decision is to whoever shows it or carries it out: a number, a sentence, and every term behind it. Plain data.

export interface ScaleTerm {
  readonly name: string;
  readonly value: string | number | boolean;
  readonly meaning: string;
}

export type ScaleAction = 'Wake' | 'Sleep' | 'Hold' | 'Keep';

export interface ScaleDecision {
  readonly model: string;
  readonly desired: number;
  readonly action: ScaleAction;
  /** For people. It names no running figures, so that it changes only when the reason does. */
  readonly sentence: string;
  readonly terms: readonly ScaleTerm[];
}

/** A model that somebody else serves is never woken. */
export function keepUpstream(model: string): ScaleDecision {
  const sentence = 'Nothing should be awake: somebody else serves it.';
  return { model, desired: 0, action: 'Keep', sentence, terms: [] };
}
