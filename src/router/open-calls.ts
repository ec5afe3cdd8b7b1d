// The requests that have not ended yet: a request counts until its last byte has left, so that a stop waits for it.
import type { Call } from './call.ts';

export interface OpenCalls {
  add(call: Call): void;
  /** The call was settled: it is gone once its answer has left. */
  settled(call: Call): void;
  all(): readonly Call[];
  /** Resolves when none is open. */
  whenEmpty(): Promise<void>;
}

export function createOpenCalls(): OpenCalls {
  const calls = new Set<Call>();
  let waiting: (() => void)[] = [];
  const remove = (call: Call) => {
    calls.delete(call);
    if (calls.size > 0) return;
    for (const resolve of waiting) resolve();
    waiting = [];
  };
  return {
    add: (call) => void calls.add(call),
    settled(call) {
      call.sink.onGone(() => remove(call));
    },
    all: () => [...calls],
    whenEmpty: () => (calls.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}
