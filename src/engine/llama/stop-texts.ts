// Cuts an answer at the first stop text and never lets a part of one out: text that may yet become a stop text is held.
// Pure and incremental; must never emit the stop text itself.

export interface StopCut {
  /** Takes the next piece and gives what may go out now. After a stop text was met it gives nothing any more. */
  push(piece: string): string;
  /** The end of the answer: what was held and did not become a stop text. */
  flush(): string;
  readonly stopped: boolean;
}

/** `stops` are non-empty texts; with none everything passes at once. */
export function createStopCut(stops: readonly string[]): StopCut {
  let held = '';
  let stopped = false;
  return {
    push(piece) {
      if (stopped) return '';
      const text = held + piece;
      const cut = firstStop(text, stops);
      if (cut >= 0) {
        stopped = true;
        held = '';
        return text.slice(0, cut);
      }
      const keep = possibleStart(text, stops);
      held = text.slice(text.length - keep);
      return text.slice(0, text.length - keep);
    },
    flush() {
      const rest = held;
      held = '';
      return rest;
    },
    get stopped() {
      return stopped;
    },
  };
}

/** Where the earliest stop text begins, or -1. */
function firstStop(text: string, stops: readonly string[]): number {
  let first = -1;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at >= 0 && (first < 0 || at < first)) first = at;
  }
  return first;
}

/** The length of the longest end of `text` that is a true beginning of a stop text. */
function possibleStart(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops) {
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length -= 1) {
      if (text.endsWith(stop.slice(0, length))) longest = length;
    }
  }
  return longest;
}
