// What happens to a request for a known model: wait for a share of an awake instance, be held while one is woken, or be
// told at once that it cannot be served in the time it has. Pure: figures in, decision out.
import type { ModelWarmth } from '../../api/link.ts';

export interface AdmissionFigures {
  /** Whether the table names an instance that can take requests of this model. */
  readonly hasEndpoint: boolean;
  readonly warmth: ModelWarmth | undefined;
  /** Expected time until an instance is awake. */
  readonly etaMs: number;
  /** True when nothing can be sent while waiting: JSON answers, and streams that asked for no progress. */
  readonly silent: boolean;
  readonly silentHoldMsMax: number;
  /** What is left of the time to the first content, or to the head when nothing can be sent before. */
  readonly remainingMs: number;
}

export type Admission =
  | { readonly kind: 'Queue' }
  | { readonly kind: 'Hold' }
  | { readonly kind: 'Warming'; readonly etaMs: number }
  | { readonly kind: 'Failed'; readonly reason: string; readonly message: string };

export function decideAdmission(figures: AdmissionFigures): Admission {
  if (figures.hasEndpoint) return { kind: 'Queue' };
  const failure = figures.warmth?.failure;
  if (failure !== undefined) return { kind: 'Failed', reason: failure.reason, message: failure.message };
  const bearableMs = figures.silent ? Math.min(figures.remainingMs, figures.silentHoldMsMax) : figures.remainingMs;
  return figures.etaMs > bearableMs ? { kind: 'Warming', etaMs: figures.etaMs } : { kind: 'Hold' };
}

/** The longest Retry-After that official clients honour. */
export const RETRY_AFTER_MS_MAX = 60_000;
const RETRY_AFTER_MS_MIN = 100;

/** When to come back after a refusal: about when the model is awake. */
export function retryAfterMs(etaMs: number): number {
  return Math.round(Math.min(RETRY_AFTER_MS_MAX, Math.max(RETRY_AFTER_MS_MIN, etaMs)));
}

export interface EtaFigures {
  readonly warmth: ModelWarmth | undefined;
  /** How long ago the controller began to say so. */
  readonly warmthAgeMs: number;
  /** How long the oldest waiting request has been waiting: the wake began about then. */
  readonly oldestWaitMs: number;
}

/** An estimate that nobody made: a model that the controller has said nothing about. */
const ETA_MS_UNKNOWN = 5000;

/**
 * Remaining time until a request is served. A climb that is under way counts from its report; one that the waiting
 * requests themselves set off counts from the oldest of them.
 */
export function estimateEtaMs(figures: EtaFigures): number {
  const { warmth, warmthAgeMs, oldestWaitMs } = figures;
  if (warmth === undefined) return ETA_MS_UNKNOWN;
  // Also when those who set it off were sent away and come back now.
  const isClimbing = warmth.rung === 'Starting' || warmth.rung === 'Waking';
  return Math.max(0, warmth.etaMs - (isClimbing ? warmthAgeMs : Math.min(warmthAgeMs, oldestWaitMs)));
}
