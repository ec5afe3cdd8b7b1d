// What a held stream is told and when. A line is one SSE comment: clients skip it, people read it.
// Never promises: the estimate is called one, and when it has passed the line says only that the model is starting.
import type { Rung } from '../../api/link.ts';

export interface ProgressBounds {
  /** A stream without content gets its head and a first line after this time. */
  readonly afterMs: number;
  /** The same, for a model that is cold at arrival with an estimate of at least `coldEtaMsMin`. */
  readonly coldAfterMs: number;
  readonly coldEtaMsMin: number;
  readonly everyMs: number;
}

export const progressBounds: ProgressBounds = { afterMs: 1000, coldAfterMs: 250, coldEtaMsMin: 500, everyMs: 2000 };

/** Time from arrival to the head and the first line. */
export function firstProgressMs(cold: boolean, etaMs: number, bounds: ProgressBounds): number {
  const early = cold && etaMs >= bounds.coldEtaMsMin;
  return early ? Math.min(bounds.afterMs, bounds.coldAfterMs) : bounds.afterMs;
}

export type HoldState =
  | { readonly kind: 'Cold'; readonly rung: Rung | undefined; readonly etaMs: number }
  | { readonly kind: 'Busy'; readonly ahead: number }
  | { readonly kind: 'Answering' };

/** The text of the comment, without the colon and without line ends. */
export function renderProgress(servedName: string, state: HoldState): string {
  const model = `stoker model ${printable(servedName)}`;
  switch (state.kind) {
    case 'Cold': {
      const verb = state.rung === 'Asleep' || state.rung === 'Waking' ? 'is waking' : 'is starting';
      return state.etaMs > 0 ? `${model} ${verb}, about ${renderSeconds(state.etaMs)}` : `${model} ${verb}, any moment`;
    }
    case 'Busy':
      return `${model} is busy, ${state.ahead} ${state.ahead === 1 ? 'request' : 'requests'} ahead of this one`;
    case 'Answering':
      return `${model} has the request and has not said anything yet`;
  }
}

function renderSeconds(ms: number): string {
  return ms < 10_000 ? `${Math.max(0.1, Math.round(ms / 100) / 10).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}

/** A name in a comment or a header: no control characters, no line ends. */
function printable(name: string): string {
  return name.replaceAll(/[^\x20-\x7e]/g, '?');
}
