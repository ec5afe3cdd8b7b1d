// The requests that one instance is serving. The count is exact: it goes up when a request is admitted and down once, when it
// ended, however that was. Drain waits for it to reach zero.
import type { OutcomeCode } from '../api/outcomes.ts';

/** Why the agent ends a request before the engine does. The code becomes the error's code. */
export class RequestCut extends Error {
  override readonly name = 'RequestCut';
  readonly code: OutcomeCode;

  constructor(code: OutcomeCode, sentence: string) {
    super(sentence);
    this.code = code;
  }
}

export interface FlightTicket {
  /** Aborts with a RequestCut when the instance is drained to its end. */
  readonly cut: AbortSignal;
  /** Must be called exactly when the request has ended. Calling it again does nothing. */
  release(): void;
}

export interface InFlight {
  count(): number;
  board(): FlightTicket;
  /** Aborts every request that is in flight. */
  cutAll(reason: RequestCut): void;
  /** Resolves when nothing is in flight. */
  whenEmpty(): Promise<void>;
}

/** `onChange` is called after each change of the count. */
export function createInFlight(onChange: () => void): InFlight {
  const flying = new Set<AbortController>();
  const waiting: (() => void)[] = [];
  return {
    count: () => flying.size,
    board() {
      const controller = new AbortController();
      flying.add(controller);
      onChange();
      return {
        cut: controller.signal,
        release() {
          if (!flying.delete(controller)) return;
          if (flying.size === 0) for (const resolve of waiting.splice(0)) resolve();
          onChange();
        },
      };
    },
    cutAll(reason) {
      for (const controller of flying) controller.abort(reason);
    },
    whenEmpty: () => (flying.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}
